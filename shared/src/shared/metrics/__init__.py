"""Numbers of a process, for Prometheus: what it has done, how far behind it is, who it is.

What happens is recorded where it happens, in an instrument of the catalogue: that is a look into a
dictionary, and costs the same whether anybody scrapes or not. What Redis has to be asked for is
measured at each scrape. `GET /metrics` on the health port shows all of it; for that a service needs
the extra `shared[metrics]`.

    from shared.metrics import catalogue

    catalogue.UPDATES.add("handled")
"""

from shared.metrics.exposition import exposition, name_process
from shared.metrics.probes import measure_at_scrape
from shared.metrics.serving import with_metrics

__all__ = ["exposition", "measure_at_scrape", "name_process", "with_metrics"]

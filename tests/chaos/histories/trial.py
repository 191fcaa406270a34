import sys, time, faulthandler; faulthandler.dump_traceback_later(280, exit=True)
import structlog, logging
from hypothesis import settings, HealthCheck, Phase, Verbosity
from hypothesis.stateful import run_state_machine_as_test
from tests.chaos.histories.clock import ServerWithClock, production_reads
from tests.chaos.histories.process import over_wires
from tests.chaos.histories.machine import histories
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
n=int(sys.argv[1]); steps=int(sys.argv[2])
with ServerWithClock() as s, production_reads(s.clock), over_wires():
    M=histories(s, foreigners="foreign" in sys.argv)
    t=time.time(); 
    try:
        run_state_machine_as_test(M, settings=settings(max_examples=n, stateful_step_count=steps, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True, phases=[Phase.generate]+([Phase.shrink] if "shrink" in sys.argv else [])))
    finally: print(time.time()-t)

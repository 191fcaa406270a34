"""An HTTP API as a part of a process: served until it is to stop, then drained.

Needs the extra `http`. `serving(app, host=..., port=...)` is what `run_worker(beside=...)` takes,
or what a process that does nothing else waits for: `await serving(app, ...)(stop)`.
`app.mount("/docs", documents("shop"))` shows its OpenAPI and AsyncAPI documents; FastAPI is
told `docs_url=None` for that.
"""

from shared.http.pages import documents
from shared.http.server import serving

__all__ = ["documents", "serving"]

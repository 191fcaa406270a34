"""A bot, a backend and what they stand on, watched by a real Prometheus with short intervals."""

import asyncio
import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.engine.prometheus import ensure_prometheus
from infra.stack import load_plan
from infra.stack.observability.files import text_of
from infra.stack.observability.rules import rule_file
from infra.stack.observability.scraping import prometheus_file
from infra.stack.observability.thresholds import Thresholds
from telegram_sim.client import SimClient
from tests.processes import Service, bot, get_status, simulator, url_of
from tests.servers import RedisServer, free_port

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "infra/observability"
PLAN = load_plan(ROOT / "services.yml")
# A measurement that gets no answer takes two seconds, and a scrape has to outlast it.
SHORT = Thresholds(
    scraped="3s",
    down="6s",
    waiting_seconds=5,
    waiting="0s",
    standing="0s",
    store="0s",
    backup_seconds=60,
    without_backup="0s",
)
PATIENCE = 120.0
LOOK_AGAIN = 0.2
Labels = dict[str, str]


class Receiver:
    """The webhook that Alertmanager tells; keeps every alert that it was told."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        alerts = self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                alerts.extend(json.loads(body)["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Watched:
    """The stack and those who watch it.

    Attributes:
        redis, sim, backend, bot: The parts; a test makes trouble for them, and mends it.
        database: The backend's file.
        receiver: Who is told.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis = RedisServer("--maxmemory", "64mb")
        self.sim = simulator()
        self.receiver = Receiver()
        self.database = folder / "backend.db"
        self._stack = ExitStack()
        self.addresses = {
            name: f"127.0.0.1:{free_port()}"
            for name in ("backend", "tg_bot", "alertmanager", "prometheus")
        }

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._stack)
            self._begin()
            stack.pop_all()
        return self

    def _begin(self) -> None:
        enter = self._stack.enter_context
        enter(self.redis)
        enter(self.sim)
        enter(self.receiver)
        port = self.addresses["backend"].rpartition(":")[2]
        self.backend = Service(
            "backend",
            DATABASE_URL=f"sqlite+aiosqlite:///{self.database}",
            REDIS_URL=self.redis.url,
            HTTP_PORT=port,
        )
        self.bot = bot(self.redis.url, url_of(self.sim))
        self.bot.variables["HEALTH_PORT"] = self.addresses["tg_bot"].rpartition(":")[2]
        enter(self.backend)
        enter(self.bot)
        self.sim.wait_for(f"{url_of(self.sim)}/health", seconds=PATIENCE)
        self.wait_until_ready()
        # A long poll that nothing ends takes 30 seconds, and until then there was no good one.
        self.telegram(lambda client: client.write("/help", user=1))
        self._configure()
        tools = ensure_prometheus()
        self._start("alertmanager", tools, "--cluster.listen-address=", "--storage.path=alerts")
        self._start("prometheus", tools, "--storage.tsdb.path=metrics")
        self.until(lambda: len(self.query("up == 1")) == 2, "both are scraped")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def wait_until_ready(self) -> None:
        """Wait for bot and backend."""
        self.backend.wait_for(f"http://{self.addresses['backend']}/ready", seconds=PATIENCE)
        self.bot.wait_for(f"http://{self.addresses['tg_bot']}/health", seconds=PATIENCE)

    def _configure(self) -> None:
        """Write what Compose's containers have, with short intervals and these addresses."""
        prometheus = text_of(prometheus_file(PLAN, SHORT, self.addresses))
        (self.folder / "prometheus.yml").write_text(prometheus)
        (self.folder / "rules.yml").write_text(text_of(rule_file(PLAN, SHORT)))
        address = self.folder / "address"
        address.write_text(self.receiver.url)
        telling = (FOLDER / "telling.yml").read_text()
        for ours, short in {
            "/tmp/alert_webhook_url": str(address),  # noqa: S108 — that of the container
            "group_wait: 10s": "group_wait: 1s",
            "group_interval: 1m": "group_interval: 1s",
        }.items():
            assert ours in telling
            telling = telling.replace(ours, short)
        (self.folder / "alertmanager.yml").write_text(telling)

    def _start(self, name: str, tools: Path, *options: str) -> None:
        listen = f"--web.listen-address={self.addresses[name]}"
        log = self._stack.enter_context((self.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            (str(tools / name), f"--config.file={name}.yml", listen, *options),
            cwd=self.folder,
            stdout=log,
            stderr=log,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        self.until(lambda: self._answers(name, process), name)

    def _answers(self, name: str, process: "subprocess.Popen[bytes]") -> bool:
        log = self.folder / f"{name}.log"
        assert process.poll() is None, f"{name} has ended:\n{log.read_text()[-2000:]}"
        return get_status(f"http://{self.addresses[name]}/-/ready") == 200

    def until(self, look: Callable[[], object], what: str) -> None:
        """Wait until something is true.

        Raises:
            AssertionError: It was not in time; has the state of every rule and what was heard.
        """
        deadline = time.monotonic() + PATIENCE
        while not look():
            if time.monotonic() > deadline:
                heard = [(alert["status"], alert["labels"]) for alert in self.receiver.alerts]
                raise AssertionError(
                    f"not in {PATIENCE:.0f} s: {what}\nheard: {heard}\nstate: {self.state()}"
                )
            time.sleep(LOOK_AGAIN)

    def state(self) -> list[dict[str, str]] | str:
        """Return the labels of each alert that is pending or firing, or why nobody says."""
        try:
            return [series["metric"] for series in self.query("ALERTS")]
        except OSError as error:
            return str(error)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression has now."""
        question = urllib.parse.urlencode({"query": expression})
        address = f"http://{self.addresses['prometheus']}/api/v1/query?{question}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            series: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return series

    def hears(self, name: str, status: str = "firing", **labels: str) -> dict[str, Any]:
        """Return an alert with these labels once the webhook has been told of it."""

        def matching() -> list[dict[str, Any]]:
            wanted = {"alertname": name, **labels}.items()
            return [
                alert
                for alert in self.receiver.alerts
                if alert["status"] == status and wanted <= alert["labels"].items()
            ]

        self.until(matching, f"{name} {status} {labels}")
        return matching()[-1]

    def telegram(self, act: Callable[[SimClient], Awaitable[Any]]) -> Any:
        """Do something at the simulator's control API."""

        async def connected() -> Any:
            async with SimClient(url_of(self.sim)) as client:
                return await act(client)

        return asyncio.run(connected())

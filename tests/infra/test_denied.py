"""Redis refuses a service's user: that is no outage, and ends its process with 78 and one line."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest

from infra.stack import load_plan
from infra.stack.compose.documents import compose_files
from infra.stack.scaffold import create
from telegram_sim.client import SimClient
from tests.conditions import eventually
from tests.infra.stack import STACK
from tests.processes import Service, bot, health_of, url_of
from tests.servers import RedisServer, free_port

ROOT = Path(__file__).resolve().parents[2]
NEW = """
  - name: audit
    type: python-faststream
    env: {REDIS_URL: {from: redis}}
    subscribes: [command_received]
  - name: shop
    type: python-fastapi
    env: {REDIS_URL: {from: redis}}
    subscribes: [command_received]
"""
ALL_BUT_LEASES = (
    "~command_received ~{command_received}*"
    " ~telegram_update ~{telegram_update}.dlq ~{telegram_update}:[^l]*"
)
MADE = ("audit", "shop")
PASSWORD, ANOTHER = "the-first", "the-second"


class Users:
    """The users of one server; whoever is called by its name may do everything at first."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.admin = server.client()
        for user in ("tg_bot", "backend", "audit", "shop"):
            self.set(user, "on", f">{PASSWORD}", "~*", "&*", "+@all")

    def set(self, user: str, *rules: str) -> None:
        """Change what a user may do; it goes for connections that are there, too."""
        self.admin.execute_command("ACL", "SETUSER", user, *rules)

    def log_out(self, user: str) -> None:
        """End a user's connections."""
        self.admin.execute_command("CLIENT", "KILL", "USER", user)

    def url(self, user: str, password: str = PASSWORD) -> str:
        """Return the URL that logs in as a user."""
        return self._server.url.replace("//", f"//{user}:{password}@")


@pytest.fixture
def users(redis_server: RedisServer) -> Users:
    """The users of this test's server."""
    return Users(redis_server)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two new services, made as `make sync-services mode=create` makes them; a PYTHONPATH."""
    root = tmp_path_factory.mktemp("repository")
    for name in ("shared", "pyproject.toml", "requirements-dev.txt", "infra"):
        (root / name).symlink_to(ROOT / name)
    text = STACK.read_text(encoding="utf-8") + NEW
    (root / "services.yml").write_text(text, encoding="utf-8")
    plan = load_plan(root / "services.yml")
    for service in plan.services:  # locking asks the package index, which is no part of this
        (root / "services" / service.name).mkdir(parents=True)
        (root / "services" / service.name / "requirements.txt").touch()
        if service.name not in MADE:
            (root / "services" / service.name / "pyproject.toml").touch()
    create(plan, root)
    sources = [f"{root}/services/{name}/src" for name in MADE]
    return os.pathsep.join([*sources, f"{ROOT}/shared/src"])


def backend(redis_url: str, folder: Path) -> Service:
    """Return a backend on a free port."""
    return Service(
        "backend",
        DATABASE_URL=f"sqlite+aiosqlite:///{folder}/backend.db",
        REDIS_URL=redis_url,
        HTTP_PORT=str(free_port()),
        LOG_FORMAT="json",
    )


async def line_of(service: Service) -> str:
    """Return the one line that a process ends with, and hold it to its exit code."""
    assert await asyncio.to_thread(service.wait) == os.EX_CONFIG, service.log
    assert "Traceback" not in service.log
    (line,) = (line for line in service.log.splitlines() if not line.startswith("{"))
    return line


async def ready(service: Service, url: str) -> None:
    """Wait until a service answers with 200."""
    await asyncio.to_thread(service.wait_for, url)


@pytest.mark.parametrize(
    ("rules", "refused"),
    [
        ("-set", "SET on {telegram_update}:probe"),
        (f"resetkeys {ALL_BUT_LEASES}", "EVALSHA on {telegram_update}:lease:42"),
    ],
    ids=["probe", "lease"],
)
async def test_a_bot_that_may_not_publish_does_not_start(
    rules: str, refused: str, users: Users, sim: Service, telegram: SimClient
) -> None:
    """The line names the user, the command, the key and where to allow it."""
    users.set("tg_bot", *rules.split())
    with bot(users.url("tg_bot"), url_of(sim)) as running:
        line = await line_of(running)
    assert line.startswith(f"herald: Redis refuses user tg_bot {refused}: ")
    assert "name telegram_update under 'publishes:' of this service in services.yml" in line


@pytest.mark.parametrize("right", ["xadd", "set"])
async def test_a_publish_that_is_refused_ends_a_running_bot_and_loses_nothing(
    right: str, users: Users, sim: Service, telegram: SimClient
) -> None:
    """The update is not confirmed; with the right back, the command is published once."""
    with bot(users.url("tg_bot"), url_of(sim)) as running:
        await ready(running, health_of(running))
        users.set("tg_bot", f"-{right}")
        await telegram.write("/command test", user=1)
        line = await line_of(running)
        assert "Redis refuses user tg_bot " in line
        assert PASSWORD not in running.log
    users.set("tg_bot", f"+{right}")
    with bot(users.url("tg_bot"), url_of(sim)) as running:
        await eventually(lambda: users.admin.xlen("command_received") > 0, seconds=60)
        assert (await telegram.wait_for_answer(1, after=0)).text == "Command published!"
    assert users.admin.xlen("command_received") == 1


@pytest.mark.parametrize("rules", ["resetpass >the-second", "off"], ids=["password", "disabled"])
async def test_who_cannot_log_in_again_ends_and_the_next_one_has_the_new_password(
    rules: str, users: Users, sim: Service, telegram: SimClient
) -> None:
    """A password is read when a process starts, so a changed one is taken by its successor."""
    with bot(users.url("tg_bot"), url_of(sim)) as running:
        await ready(running, health_of(running))
        users.set("tg_bot", *rules.split())
        users.log_out("tg_bot")
        line = await line_of(running)
    assert line.startswith("herald: Redis does not let user tg_bot in: ")
    assert "REDIS_URL" in line
    assert PASSWORD not in line
    users.set("tg_bot", "on", "resetpass", f">{ANOTHER}")
    with bot(users.url("tg_bot", ANOTHER), url_of(sim)) as running:
        await ready(running, health_of(running))


async def test_who_gives_no_password_where_one_is_asked_for_does_not_start(
    users: Users, redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """NOAUTH is as final as a wrong password."""
    users.set("default", "resetpass", ">nobody-knows")
    with bot(redis_server.url, url_of(sim)) as running:
        assert "does not let user default in" in await line_of(running)


async def test_a_backend_that_may_not_read_does_not_start(users: Users, tmp_path: Path) -> None:
    """It is told that it does not subscribe."""
    users.set("backend", "-xgroup")
    with backend(users.url("backend"), tmp_path) as running:
        line = await line_of(running)
    assert line.startswith("herald: Redis refuses user backend XGROUP on command_received: ")
    assert "under 'subscribes:'" in line


@pytest.mark.parametrize("command", ["xreadgroup", "xack", "xautoclaim"])
async def test_a_refusal_in_the_middle_of_reading_ends_the_backend(
    command: str, users: Users, tmp_path: Path
) -> None:
    """Whatever it does at that moment: read, acknowledge, or claim what others left."""
    with backend(users.url("backend"), tmp_path) as running:
        api = f"http://127.0.0.1:{running.variables['HTTP_PORT']}"
        await ready(running, f"{api}/ready")
        users.set("backend", f"-{command}")
        async with httpx.AsyncClient() as client:
            body = {"command": "/command x", "user_id": 1}
            if command == "xack":
                await client.post(f"{api}/debug/command", json=body)
        assert f"user backend {command.upper()} on command_received" in await line_of(running)


async def test_a_refusal_in_the_middle_of_burying_ends_the_backend_and_loses_nothing(
    users: Users, tmp_path: Path
) -> None:
    """What may not be put into the dead letters stays pending until somebody may."""
    with backend(users.url("backend"), tmp_path) as running:
        api = f"http://127.0.0.1:{running.variables['HTTP_PORT']}"
        await ready(running, f"{api}/ready")
        users.set("backend", "-xadd")
        users.admin.xadd("command_received", {"other": "field"})
        assert "user backend EVALSHA on command_received" in await line_of(running)
    users.set("backend", "+xadd")
    assert users.admin.xpending("command_received", "backend")["pending"] == 1
    with backend(users.url("backend"), tmp_path):
        await eventually(lambda: users.admin.xlen("{command_received}.dlq") == 1, seconds=90)


async def test_a_publish_over_http_that_is_refused_ends_the_backend(
    users: Users, tmp_path: Path
) -> None:
    """Although the web server catches whatever a request raises."""
    with backend(users.url("backend"), tmp_path) as running:
        api = f"http://127.0.0.1:{running.variables['HTTP_PORT']}"
        await ready(running, f"{api}/ready")
        users.set("backend", "-xadd")
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.TransportError):
                await client.post(
                    f"{api}/debug/command", json={"command": "/command x", "user_id": 1}
                )
        assert "user backend EVALSHA on command_received" in await line_of(running)


async def test_the_dead_letter_tool_tells_a_refusal_from_an_outage(users: Users) -> None:
    """It exits with 78 and one line; what it may do is what its user may."""
    users.set("tg_bot", "-xrange")
    tool = Service("shared.dead_letters", REDIS_URL=users.url("tg_bot"))
    with tool as running:
        line = await line_of(running)
    assert line.startswith("dead-letters: Redis refuses this user: ")


@pytest.mark.parametrize("name", MADE)
async def test_a_new_service_ends_so_too(name: str, packages: str, users: Users) -> None:
    """A worker and an HTTP service, as they are created."""
    users.set(name, "resetkeys")
    new = Service(name, PYTHONPATH=packages, REDIS_URL=users.url(name), LOG_FORMAT="json")
    new.variables |= {"HEALTH_PORT": str(free_port()), "HTTP_PORT": str(free_port())}
    new.variables["HTTP_HOST"] = "127.0.0.1"
    with new as running:
        line = await line_of(running)
    assert line.startswith(f"herald: Redis refuses user {name} X")
    assert "under 'subscribes:'" in line


@pytest.mark.parametrize("overlay", ["base", "tests"])
async def test_a_bot_that_forgot_to_declare_fails_on_a_developers_machine_and_in_the_tests(
    overlay: str, tmp_path: Path, redis_server: RedisServer, sim: Service, telegram: SimClient
) -> None:
    """The users that these overlays give Redis are those of prod: the first command ends it."""
    declared = STACK.read_text(encoding="utf-8")
    forgotten = declared.replace("publishes: [command_received, ", "publishes: [")
    for text, healthy in ((declared, True), (forgotten, False)):
        url = serve_users_of(overlay, text, tmp_path / f"{healthy}", redis_server)
        with bot(url, url_of(sim)) as running:
            await ready(running, health_of(running))
            await telegram.write("/command test", user=1)
            if healthy:
                answer = await telegram.wait_for_answer(1, after=0)
                assert answer.text == "Command published!"
            else:
                line = await line_of(running)
                assert "name command_received under 'publishes:' of this service" in line


def serve_users_of(overlay: str, text: str, folder: Path, server: RedisServer) -> str:
    """Give a server the users that Compose gives its Redis; return the URL that the bot gets."""
    (folder / "shared").mkdir(parents=True)
    (folder / "shared/spec").symlink_to(ROOT / "shared/spec")
    (folder / "services.yml").write_text(text, encoding="utf-8")
    services = compose_files(load_plan(folder / "services.yml"))[overlay]["services"]
    users = " ".join(services["redis"]["command"]).partition(" --user ")[2]
    for user in users.replace("${REDIS_PASSWORD:-}", PASSWORD).split(" --user "):
        name, *rules = user.split(" ")
        if name != "default":
            server.client().execute_command("ACL", "SETUSER", name, "reset", *rules)
    given = str(services["tg_bot"]["environment"]["REDIS_URL"])
    address = server.url.removeprefix("redis://")
    return given.replace("${REDIS_PASSWORD:-}", PASSWORD).replace("redis:6379", address)

"""Copies of a store on three servers: one file for all, and nothing of it where there is one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.inventory import Host
from deploy.ssh.commands import dead_letters
from infra.stack import Plan, load_plan
from infra.stack.compose.documents import compose_files
from infra.stack.compose.secrets import contents, secret_files
from infra.stack.examples import EXAMPLES
from infra.stack.pages.explain import explain
from infra.stack.pages.topology import picture
from infra.stack.rendering import render
from tests.infra.stack import STACK

THREE = EXAMPLES / "bot_on_three_servers/services.yml"
STORES = ("redis", "redis_sentinel", "postgres", "postgres_etcd")


@pytest.fixture
def plan() -> Plan:
    """The example with three copies of both stores."""
    return load_plan(THREE)


def test_one_copy_is_rendered_as_if_there_were_no_copies(repository: Callable[..., Path]) -> None:
    """Written out, the default changes no byte of any file."""
    events = (THREE.parent / "shared/spec/events.yaml").read_text()
    text = THREE.read_text()
    alone = load_plan(repository(text.replace(", copies: 3", ""), events))
    said = load_plan(repository(text.replace("copies: 3", "copies: 1"), events))
    assert render(said, EXAMPLES).texts == render(alone, EXAMPLES).texts
    assert not any("MEMBER" in text for text in render(alone, EXAMPLES).texts.values())


def test_a_server_has_each_store_with_what_decides_beside_it(plan: Plan) -> None:
    """Sentinel and etcd run in prod, on the server's own network; elsewhere there is one copy."""
    files = compose_files(plan)
    prod = files["prod"]["services"]
    assert set(prod) == {*STORES, "bot", "orders"}
    assert {prod[name]["network_mode"] for name in STORES} == {"host"}
    for name in ("base", "tests"):
        assert {"redis", "postgres"} < set(files[name]["services"])
        assert not {"redis_sentinel", "postgres_etcd"} & set(files[name]["services"])


def test_servers_differ_in_nothing_but_their_own_address(plan: Plan) -> None:
    """MEMBER is the one variable that only stores read, and each container of theirs does."""
    prod = compose_files(plan)["prod"]["services"]
    for name, service in prod.items():
        asked = [value for value in service["environment"].values() if "${MEMBER:?" in value]
        assert len(asked) == (name in STORES)


def test_what_is_acknowledged_is_on_disk_on_every_server(plan: Plan) -> None:
    """Each copy of Redis syncs its file at every write and has the users' file."""
    command = compose_files(plan)["prod"]["services"]["redis"]["command"]
    assert command[0] == "start-redis-copy"
    assert command[command.index("--appendfsync") + 1] == "always"
    assert "--aclfile" in command


def test_services_find_the_one_that_is_written_to(plan: Plan) -> None:
    """The addresses name all servers, by names that each service has in its hosts file."""
    texts = contents(plan, {"TELEGRAM_BOT_TOKEN": "1:token"})
    password = texts["REDIS_ORDERS_PASSWORD"]
    sentinels = "server-1:26379,server-2:26379,server-3:26379"
    assert texts["ORDERS_REDIS_URL"] == f"redis+sentinel://orders:{password}@{sentinels}/redis"
    hosts = "host=server-1:5432&host=server-2:5432&host=server-3:5432"
    assert texts["ORDERS_DATABASE_URL"] == (
        f"postgresql+asyncpg://three:{texts['POSTGRES_PASSWORD']}@/three"
        f"?{hosts}&target_session_attrs=read-write"
    )
    for name in ("bot", "orders"):
        service = compose_files(plan)["prod"]["services"][name]
        assert [host.partition(":")[0] for host in service["extra_hosts"]] == [
            "server-1",
            "server-2",
            "server-3",
        ]
        assert service["networks"] == ["egress"]


def test_without_a_driver_the_address_is_libpq_s(repository: Callable[..., Path]) -> None:
    """Where the scheme names no driver, the hosts stand where every PostgreSQL client has them."""
    events = (THREE.parent / "shared/spec/events.yaml").read_text()
    plan = load_plan(
        repository(THREE.read_text().replace("postgresql+asyncpg", "postgresql"), events)
    )
    texts = contents(plan, {})
    hosts = "server-1:5432,server-2:5432,server-3:5432"
    assert texts["ORDERS_DATABASE_URL"].endswith(f"@{hosts}/three?target_session_attrs=read-write")


def test_each_password_is_where_it_is_used_and_nowhere_else(plan: Plan) -> None:
    """The Sentinels' is at the Sentinel, the replicas' at Redis, the copies' at PostgreSQL."""
    readers = {secret.name: secret.readers for secret in secret_files(plan)}
    assert readers["REDIS_SENTINEL_PASSWORD"] == ("redis_sentinel",)
    assert readers["REDIS_REPLICA_PASSWORD"] == ("redis",)
    assert readers["REDIS_OPERATOR_PASSWORD"] == ("redis", "redis_sentinel")
    assert readers["POSTGRES_COPIES_PASSWORD"] == ("postgres",)


def test_who_publishes_may_wait_for_a_second_copy_where_there_is_one(plan: Plan) -> None:
    """WAIT is allowed with copies, and stays refused without."""
    assert " +wait " in explain(plan, "bot")
    assert "+wait" not in explain(load_plan(STACK), "tg_bot")


def test_explain_and_the_picture_show_the_copies(plan: Plan) -> None:
    """Whoever reads either sees how many there are."""
    assert "one on each of 3 servers, with redis_sentinel beside it" in explain(plan, "redis")
    assert "the server's own" in explain(plan, "postgres")
    drawn = picture(plan)
    assert [box.kind for box in drawn.boxes if box.name == "postgres"] == ["PostgreSQL (3 copies)"]
    assert drawn.streams is not None
    assert drawn.streams.kind == "Redis Streams (3 copies)"


def test_dead_letters_are_asked_of_the_primary(plan: Plan) -> None:
    """The operator's address names the Sentinels, as those of the services do."""
    text = dead_letters(Host("server", "staging", "203.0.113.1", user="root"), plan, ["list"])
    sentinels = "server-1:26379,server-2:26379,server-3:26379"
    assert f'redis+sentinel://operator: "$p" @{sentinels}/redis |' in text

"""A store that somebody else runs: no container of it on a server, and its address is a secret."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.agent.data.backup import backup
from deploy.agent.host.audit import Audit
from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import Layout
from deploy.agent.host.release import Release
from deploy.inventory import Host
from deploy.release.smoke import smoke
from deploy.ssh.commands import dead_letters
from infra.stack import Plan, load_plan
from infra.stack.compose.documents import compose_files
from infra.stack.compose.secret_folder import fill
from infra.stack.compose.secrets import contents, secret_files
from infra.stack.examples import EXAMPLES
from infra.stack.pages.explain import explain
from infra.stack.pages.topology import picture

MANAGED = EXAMPLES / "bot_on_managed_stores/services.yml"
ADDRESSES = {"BOT_REDIS_URL", "ORDERS_REDIS_URL", "ORDERS_DATABASE_URL"}


@pytest.fixture
def plan() -> Plan:
    """The example with both stores run elsewhere."""
    return load_plan(MANAGED)


def test_a_server_runs_no_container_of_it_and_the_rest_do(plan: Plan) -> None:
    """Prod has the services only, which wait for no store; base and tests have both stores."""
    files = compose_files(plan)
    prod = files["prod"]
    assert set(prod["services"]) == {"bot", "orders"}
    assert "volumes" not in prod
    assert not any("depends_on" in service for service in prod["services"].values())
    for name in ("base", "tests"):
        assert {"redis", "postgres"} < set(files[name]["services"])


def test_who_talks_to_it_gets_out(plan: Plan) -> None:
    """A worker without `egress` leads out in prod, where its stores are, and nowhere else."""
    files = compose_files(plan)
    assert files["prod"]["services"]["orders"]["networks"] == ["egress"]
    assert "egress" not in files["tests"]["services"]["orders"]["networks"]


def test_its_addresses_are_asked_for_and_kept(plan: Plan, tmp_path: Path) -> None:
    """Each address is missing until it is put there, and stays what was put there."""
    _, missing = fill(plan, tmp_path)
    assert {secret.name for secret in missing} == {*ADDRESSES, "TELEGRAM_BOT_TOKEN"}
    given = dict.fromkeys(ADDRESSES, "rediss://default:secret@stores.example:6380/0")
    assert contents(plan, given) == given


def test_no_password_is_made_for_it(plan: Plan) -> None:
    """No user, no password and no URL of ours: nothing is generated or derived."""
    assert {secret.origin for secret in secret_files(plan)} == {"given"}


def test_one_may_be_external_and_the_other_not(repository: Callable[..., Path]) -> None:
    """Where only the database is run elsewhere, Redis has its container, users and network."""
    text = re.sub(
        r"redis: \{type: redis, external: true\}", "redis: {type: redis}", MANAGED.read_text()
    )
    events = (MANAGED.parent / "shared/spec/events.yaml").read_text()
    plan = load_plan(repository(text, events))
    prod = compose_files(plan)["prod"]["services"]
    assert set(prod) == {"redis", "bot", "orders"}
    assert prod["orders"]["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert prod["orders"]["networks"] == ["egress", "redis"]
    origins = {secret.name: secret.origin for secret in secret_files(plan)}
    assert (origins["ORDERS_REDIS_URL"], origins["ORDERS_DATABASE_URL"]) == ("derived", "given")


def test_explain_and_the_picture_say_it(plan: Plan) -> None:
    """Whoever reads either sees that the store is not on the server."""
    assert "in prod run elsewhere" in explain(plan, "postgres")
    drawn = picture(plan)
    assert [box.kind for box in drawn.boxes if box.name == "postgres"] == ["PostgreSQL (external)"]
    assert drawn.streams is not None
    assert drawn.streams.kind == "Redis Streams (external)"


def test_dead_letters_are_asked_with_the_service_s_own_address(plan: Plan) -> None:
    """There is no operator of ours: the tool runs in the service and reads its REDIS_URL_FILE."""
    text = dead_letters(Host("server", "staging", "203.0.113.1", user="root"), plan, ["list"])
    options = "--env REDIS_URL= --env REDIS_URL_FILE=/run/secrets/BOT_REDIS_URL"
    assert f'docker exec -i {options} "$c" python -m shared.dead_letters list' in text
    assert "service=redis" not in text


def test_a_deploy_has_no_smoke_test_through_it(plan: Plan) -> None:
    """The smoke test asks our own Redis as its operator, which is not there."""
    assert smoke(plan, ["orders"]) is None


def test_a_backup_says_where_to_make_it(tmp_path: Path) -> None:
    """Nothing on the server holds data, so the one line says that."""
    layout = Layout(tmp_path)
    layout.prepare()
    services = {"bot": {"data": "", "image": "", "replicas": 1, "handover": ""}}
    release = Release(tmp_path, {"project": "managed", "services": services})
    with pytest.raises(AgentError, match="run elsewhere; back it up there"):
        backup(layout, release, Audit(layout.audit, "somebody", "r"))

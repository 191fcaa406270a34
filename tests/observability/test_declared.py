"""What services.yml makes of a Prometheus and an Alertmanager that it declares, or does not."""

from pathlib import Path
from typing import Any

import pytest

from infra.stack import load_plan
from infra.stack.compose.documents import compose_files
from infra.stack.compose.networks import Networks
from infra.stack.compose.secrets import secret_files
from infra.stack.observability.files import observability_files
from infra.stack.plan import OVERLAYS, Plan
from tests.observability.watched import ROOT

WATCHERS = ("prometheus", "alertmanager")


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Herald's own stack, watched on a server too."""
    folder = tmp_path_factory.mktemp("declared")
    text = (ROOT / "services.yml").read_text()
    profile = "    profiles: [observability]\n"
    narrow = f"    overlays: [dev, tests]\n{profile}"
    assert text.count(narrow) == len(WATCHERS)
    (folder / "services.yml").write_text(text.replace(narrow, profile))
    (folder / "shared").symlink_to(ROOT / "shared")
    return load_plan(folder / "services.yml")


@pytest.mark.parametrize("name", WATCHERS)
@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_who_watches_is_as_guarded_as_what_is_watched(
    everywhere: Plan, overlay: str, name: str
) -> None:
    """Read-only, without rights, without root, with limits; and only where it is asked for."""
    files = compose_files(everywhere)
    services = {**files["base"]["services"], **files["dev"]["services"]}
    service: dict[str, Any] = files["base"]["services"][name] | services[name]
    if overlay == "prod":
        service = files["prod"]["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["user"] == "65534:65534"
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service.get("profiles") == (["observability"] if overlay == "dev" else None)
    assert ("build" in service) is (overlay == "dev")


def test_prometheus_reaches_whom_it_asks_and_nobody_else(everywhere: Plan) -> None:
    """Neither the databases nor the internet; Alertmanager alone leads out."""
    services = compose_files(everywhere)["prod"]["services"]
    networks = set(services["prometheus"]["networks"])
    reached = {name for name, service in services.items() if networks & set(service["networks"])}
    assert reached == {"prometheus", "alertmanager", "backend", "tg_bot"}
    assert "egress" in services["alertmanager"]["networks"]


def test_prometheus_finds_whom_it_asks_where_they_can_talk(everywhere: Plan) -> None:
    """Every network that it shares with them is one without a way in or out."""
    for overlay in OVERLAYS:
        networks = Networks(everywhere, overlay)
        mine = set(networks.of(everywhere.service("prometheus")))
        for name in everywhere.service("prometheus").watches:
            shared = mine & set(networks.of(everywhere.service(name)))
            asked = {f"prometheus-{name}", f"{name}-prometheus"}  # the latter by a console
            assert f"prometheus-{name}" in shared <= asked


def test_the_webhooks_address_is_a_secret(everywhere: Plan) -> None:
    """A file in prod, which nobody else can read."""
    (secret,) = (file for file in secret_files(everywhere) if file.name == "ALERT_WEBHOOK_URL")
    assert (secret.origin, secret.readers, secret.user) == (
        "given",
        ("alertmanager",),
        "65534:65534",
    )


def test_a_stack_that_declares_none_has_no_files_of_it() -> None:
    """Nothing is rendered that nobody asked for."""
    examples = sorted(ROOT.glob("infra/examples/*/services.yml"))
    assert examples
    assert all(observability_files(load_plan(path)) == {} for path in examples)


def test_a_store_that_somebody_else_runs_is_backed_up_by_them(tmp_path: Path) -> None:
    """A server makes no backup of it, so there is no alert that none is made."""
    text = (ROOT / "services.yml").read_text()
    managed = "type: redis\n    external: true\n"
    (tmp_path / "services.yml").write_text(text.replace("type: redis\n", managed, 1))
    (tmp_path / "shared").symlink_to(ROOT / "shared")
    rules = observability_files(load_plan(tmp_path / "services.yml"))[
        "infra/observability/rules.yml"
    ]
    assert "RedisAway" in rules
    assert "Backup" not in rules


def test_a_stack_without_a_bot_has_no_alerts_of_one(tmp_path: Path) -> None:
    """Whoever stores no events and polls nobody is asked whether it lives."""
    (tmp_path / "services.yml").write_text(
        "version: 1\nproject: site\nservices:\n"
        "  - {name: page, type: python-fastapi}\n"
        "  - {name: prometheus, type: prometheus}\n"
    )
    files = observability_files(load_plan(tmp_path / "services.yml"))
    rules = files["infra/observability/rules.yml"]
    assert rules.count("alert:") == rules.count("alert: ServiceDown") == 1
    assert "alertmanagers" not in files["infra/observability/prometheus.yml"]

"""A bot to whom Telegram brings updates: on a server behind a Caddy, elsewhere it polls."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.wiring import Wiring
from deploy.release.images import builds
from infra.stack import Plan, load_plan
from infra.stack.compose.documents import compose_files
from infra.stack.compose.networks import Networks
from infra.stack.compose.secrets import secret_files
from infra.stack.examples import EXAMPLES
from infra.stack.ingress import CADDYFILE, ingress_files
from infra.stack.pages.explain import explain
from infra.stack.pages.topology import picture

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = EXAMPLES / "bot_with_webhook/services.yml"
EVENTS = EXAMPLE.parent / "shared/spec/events.yaml"
GIVEN = ("    host: bot.example.org\n", "    host: bot.example.org\n    certificate: given\n")
HARDENED: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "user": "65534:65534",
}


@pytest.fixture
def plan() -> Plan:
    """The example."""
    return load_plan(EXAMPLE)


@pytest.fixture
def changed(repository: Callable[..., Path]) -> Callable[..., Plan]:
    """Return the example with some of its text replaced."""

    def change(*pairs: tuple[str, str]) -> Plan:
        text = EXAMPLE.read_text()
        for old, new in pairs:
            assert text.count(old) == 1
            text = text.replace(old, new)
        return load_plan(repository(text, EVENTS.read_text()))

    return change


def environment(plan: Plan, name: str) -> dict[str, str]:
    """Return the bot's variables in one Compose file."""
    variables: dict[str, str] = compose_files(plan)[name]["services"]["bot"]["environment"]
    return variables


def test_only_on_a_server_are_updates_brought(plan: Plan) -> None:
    """To the host name, which an environment may have another of; elsewhere the bot polls."""
    url = "https://${WEBHOOK_DOMAIN:-bot.example.org}/telegram/bot"
    assert environment(plan, "prod")["WEBHOOK_URL"] == url
    assert environment(plan, "base")["WEBHOOK_URL"] == ""
    assert environment(plan, "tests")["WEBHOOK_URL"] == ""
    files = compose_files(plan)
    assert [name for name in files if "caddy" in files[name]["services"]] == ["prod"]


def test_the_demo_polls(repository: Callable[..., Path], tmp_path: Path) -> None:
    """Nobody reaches it from outside."""
    text = (ROOT / "services.yml").read_text()
    bot, caddy = "  - name: tg_bot\n", EXAMPLE.read_text().partition("\n  - name: caddy\n")[2]
    text = text.replace(bot, f"{bot}    updates: webhook\n")
    text = f"{text}\n  - name: caddy\n{caddy}"
    plan = load_plan(repository(text, (ROOT / "shared/spec/events.yaml").read_text()))
    assert plan.service("tg_bot").updates == "webhook"
    wiring = Wiring.make(plan, ROOT, tmp_path)
    assert "WEBHOOK_URL" not in wiring.variables(plan.service("tg_bot"))


def test_without_it_nothing_changes(changed: Callable[..., Plan]) -> None:
    """A bot that polls has no port, no variable and no Caddyfile of it."""
    text = EXAMPLE.read_text()
    plan = changed(("    updates: webhook\n", ""), (text[text.index("\n  - name: caddy") :], "\n"))
    said = changed(
        ("    updates: webhook\n", "    updates: polling\n"),
        (text[text.index("\n  - name: caddy") :], "\n"),
    )
    assert "WEBHOOK" not in str(compose_files(plan))
    assert compose_files(plan) == compose_files(said)
    assert plan.service("bot").port == 0
    assert ingress_files(plan) == {}


def test_caddy_is_as_guarded_as_the_others_and_reaches_the_bot_only(plan: Plan) -> None:
    """One port of the server is open, and it is Caddy's."""
    prod = compose_files(plan)["prod"]["services"]
    assert HARDENED.items() <= prod["caddy"].items()
    assert prod["caddy"]["ports"] == ["0.0.0.0:443:8443"]
    assert not any("ports" in service for name, service in prod.items() if name != "caddy")
    networks = Networks(plan, "prod")
    mine = set(networks.of(plan.service("caddy")))
    assert mine & set(networks.of(plan.service("bot"))) == {"caddy-bot", "egress"}
    assert mine & set(networks.of(plan.infrastructure[0])) == set()


def test_each_bot_has_a_path_of_its_own(changed: Callable[..., Plan]) -> None:
    """Two bots behind one host name, each with its own token."""
    text = EXAMPLE.read_text()
    bot = text[text.index("  - name: bot\n") : text.index("\n  - name: caddy")]
    other = bot.replace("name: bot", "name: other").replace(
        "{secret: true,", "{secret: true, given_as: OTHER_TOKEN,"
    )
    plan = changed(("\n  - name: caddy\n", f"\n{other}\n  - name: caddy\n"))
    text = ingress_files(plan)[CADDYFILE]
    assert "handle /telegram/bot {\n\t\treverse_proxy bot:8000 {" in text
    assert "handle /telegram/other {\n\t\treverse_proxy other:8000 {" in text


def test_a_given_certificate_is_two_secrets(changed: Callable[..., Plan]) -> None:
    """Files that Caddy's user alone may read; then Caddy reaches nobody outside."""
    plan = changed(GIVEN)
    caddy = compose_files(plan)["prod"]["services"]["caddy"]
    assert caddy["secrets"] == ["WEBHOOK_CERTIFICATE", "WEBHOOK_KEY"]
    assert caddy["environment"]["WEBHOOK_KEY_FILE"] == "/run/secrets/WEBHOOK_KEY"
    assert caddy["networks"] == ["caddy-bot", "published-caddy"]
    files = {secret.name: secret for secret in secret_files(plan)}
    assert files["WEBHOOK_KEY"].origin == "given"
    assert files["WEBHOOK_KEY"].user == "65534:65534"
    text = ingress_files(plan)[CADDYFILE]
    assert "tls {$WEBHOOK_CERTIFICATE_FILE} {$WEBHOOK_KEY_FILE}" in text
    assert "acme" not in text


def test_each_of_three_servers_has_to_say_where_it_is(changed: Callable[..., Plan]) -> None:
    """The one that holds the lease names its own address; a forgotten one stops the start."""
    plan = changed(("{type: redis}", "{type: redis, copies: 3}"), GIVEN)
    asked = environment(plan, "prod")["WEBHOOK_IP_ADDRESS"]
    assert asked == "${WEBHOOK_IP_ADDRESS:?set WEBHOOK_IP_ADDRESS in .env}"


def test_a_release_builds_its_image(plan: Plan) -> None:
    """Though no developer's machine has it."""
    assert builds(plan)["caddy"] == {
        "context": "infra/ingress",
        "dockerfile": "Dockerfile",
        "target": "caddy",
    }


def test_it_is_explained_and_drawn(plan: Plan) -> None:
    """Who answers for which name, with which certificate, and whom it passes requests on to."""
    said = " ".join(explain(plan, "caddy", frozenset({"host"})).split())
    assert "answers for bot.example.org; .env may change it [services.yml]" in said
    assert "certificate acme [default] passes on to bot [from updates]" in said
    said = " ".join(explain(plan, "bot", frozenset({"updates"})).split())
    assert "updates webhook [services.yml]" in said
    (box,) = (box for box in picture(plan).boxes if box.name == "caddy")
    assert "brings bot what comes to" in " ".join(box.lines)

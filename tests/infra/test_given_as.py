"""A variable that `.env`, secrets and stand-ins know by another name than its service does."""

from pathlib import Path

import pytest

from infra.stack import Plan, load_plan
from infra.stack.compose.documents import compose_files
from infra.stack.compose.networks import providers_of, reached
from infra.stack.compose.secrets import secret_files
from infra.stack.pages.variables import groups
from infra.stack.plan import Overlay

DECLARED = """
version: 1
project: shops
services:
  - name: cakes
    type: python
    env:
      TELEGRAM_BOT_TOKEN: {secret: true, given_as: CAKES_TOKEN, description: Its token.}
      TELEGRAM_API_URL: {default: "http://real", given_as: CAKES_API, description: Its Telegram.}
      REGION: {given_as: CAKES_REGION, description: Where it sells.}
  - name: sender
    type: python
    env:
      TOKEN_OF_CAKES: {secret: true, given_as: CAKES_TOKEN, description: Whose messages it sends.}
  - name: stand_in
    type: python
    overlays: [dev, tests]
    port: 8081
    provides:
      CAKES_TOKEN: "42:simulated"
      CAKES_API: {from: self}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """The stack of a bot, and of a worker that has its token under a name of its own."""
    path = tmp_path / "services.yml"
    path.write_text(DECLARED, encoding="utf-8")
    return load_plan(path)


@pytest.mark.parametrize(
    ("overlay", "environment"),
    [
        (
            "tests",
            {
                "TELEGRAM_BOT_TOKEN": "${CAKES_TOKEN:-}",
                "TELEGRAM_API_URL": "${CAKES_API:-http://real}",
                "REGION": "${CAKES_REGION:-}",
            },
        ),
        (
            "prod",
            {
                "TELEGRAM_BOT_TOKEN_FILE": "/run/secrets/CAKES_TOKEN",
                "TELEGRAM_API_URL": "${CAKES_API:-http://real}",
                "REGION": "${CAKES_REGION:?set CAKES_REGION in .env}",
            },
        ),
    ],
)
def test_the_service_finds_it_under_its_own_name(
    plan: Plan, overlay: Overlay, environment: dict[str, str]
) -> None:
    """What Compose interpolates, and the file, have the other name."""
    cakes = compose_files(plan)[overlay]["services"]["cakes"]["environment"]
    assert {name: cakes[name] for name in environment} == environment


def test_one_secret_may_be_two_variables(plan: Plan) -> None:
    """Each of its readers finds it under a name of its own, in one file."""
    (token,) = (secret for secret in secret_files(plan) if secret.name == "CAKES_TOKEN")
    assert token.readers == ("cakes", "sender")
    sender = compose_files(plan)["prod"]["services"]["sender"]
    assert sender["environment"]["TOKEN_OF_CAKES_FILE"] == "/run/secrets/CAKES_TOKEN"
    assert sender["secrets"] == ["CAKES_TOKEN"]


def test_whoever_sets_it_reads_that_name(plan: Plan) -> None:
    """In .env.example, where the service's own name would be nobody's."""
    names = {setting.name for group in groups(plan) for setting in group.settings}
    assert {"CAKES_TOKEN", "CAKES_API", "CAKES_REGION"} <= names
    assert not names & {"TELEGRAM_BOT_TOKEN", "TELEGRAM_API_URL", "REGION", "TOKEN_OF_CAKES"}


def test_a_stand_in_is_reached_by_that_name(plan: Plan) -> None:
    """Or the two would share no network."""
    assert reached(plan.service("cakes"), providers_of(plan), "tests") == {"stand_in"}

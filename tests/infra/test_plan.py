"""What the plan tells those who read it: the demo, dev-start and deploy."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.stack import InvalidInputError, Reference, load_plan
from infra.stack.compose.addresses import stand_ins
from tests.infra.stack import STACK

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_waited_for_comes_first() -> None:
    """Services are in start order, whatever their order in the file."""
    plan = load_plan(STACK)
    names = [service.name for service in plan.services]
    assert names.index("backend") < names.index("tg_bot")


def test_a_derived_variable_says_what_it_is_derived_from() -> None:
    """The demo can put in addresses of its own, because the plan keeps the reference."""
    backend = load_plan(STACK).service("backend")
    assert backend.command == ("python", "-m", "backend")
    assert backend.variable("DATABASE_URL").reference == Reference(
        "postgres", "url", "postgresql+asyncpg"
    )
    assert backend.variable("HTTP_PORT").reference == Reference("backend", "port")


def test_the_simulator_stands_in_only_where_it_runs() -> None:
    """With profile sim, and in the tests, the bot's Telegram is the simulator."""
    plan = load_plan(STACK)
    assert stand_ins(plan, "dev", ["sim"])["TELEGRAM_API_URL"] == "http://telegram_sim:8081"
    assert "TELEGRAM_BOT_TOKEN" in stand_ins(plan, "tests")
    assert stand_ins(plan, "dev", ["tg"]) == {}
    assert stand_ins(plan, "prod") == {}


def test_the_plan_is_frozen(repository: Callable[..., Path]) -> None:
    """Nobody who reads the plan can change it for the next reader."""
    plan = load_plan(repository())
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.project = "other"  # type: ignore[misc]  # the mistake is the point


def test_an_event_cannot_be_used_without_a_specification(repository: Callable[..., Path]) -> None:
    """Without shared/spec/events.yaml no event is declared, so every use is a mistake."""
    text = """
    version: 1
    project: demo
    infrastructure: {redis: {type: redis}}
    services:
      - name: worker
        type: python
        env: {REDIS_URL: {from: redis}}
        subscribes: [command_received]
    """
    assert load_plan(repository(text)).events[0].subscribers == ("worker",)
    (repository(text, events=None).parent / "shared/spec/events.yaml").unlink()
    with pytest.raises(InvalidInputError, match=r"services.yml:8:18: event 'command_received'"):
        load_plan(repository(text, events=None))

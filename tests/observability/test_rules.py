"""The committed rules, held to series of numbers by promtool: when each fires, and when not."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.engine.prometheus import ensure_prometheus
from infra.stack.observability.rules import RUNBOOK, alerts, rule_file
from infra.stack.observability.scraping import prometheus_file
from infra.stack.observability.thresholds import Thresholds
from tests.observability.watched import FOLDER, PLAN, ROOT, SHORT

GROUP = 'stream="command_received", group="backend"'
BOT = 'job="tg_bot", instance="a"'
BACKEND = 'job="backend", instance="b"'


@dataclass(frozen=True)
class Case:
    """What an alert makes of a series.

    Attributes:
        alert: Its name.
        series: Samples by series, as promtool has them; `_` is none.
        quiet: A moment at which it does not fire.
        firing: One at which it does; empty where it never does.
        every: How far samples are apart; the rules are evaluated as often.
    """

    alert: str
    series: dict[str, str]
    quiet: str
    firing: str = ""
    every: str = "15s"


CASES = {
    "an answer that stays away for two minutes": Case(
        "ServiceDown",
        {f"up{{{BACKEND}}}": "1x7 0x40", f"up{{{BOT}}}": "1x47"},
        quiet="3m45s",
        firing="4m15s",
    ),
    "one process of two answers": Case(
        "ServiceDown",
        {
            f"up{{{BACKEND}}}": "0x80",
            'up{job="backend", instance="c"}': "1x80",
            f"up{{{BOT}}}": "1x80",
        },
        quiet="15m",
    ),
    "a standby beside one that polls": Case(
        "NobodyPolls",
        {
            f"herald_polls{{{BOT}}}": "0x80",
            'herald_polls{job="tg_bot", instance="c"}': "1x80",
            f"herald_poll_age_seconds{{{BOT}}}": "_x80",
            'herald_poll_age_seconds{job="tg_bot", instance="c"}': "31x80",
        },
        quiet="15m",
    ),
    "a lease whose polls fail": Case(
        "NobodyPolls",
        {
            f"herald_polls{{{BOT}}}": "1x80",
            f"herald_poll_age_seconds{{{BOT}}}": "0+15x80",
        },
        quiet="3m45s",
        firing="4m15s",
    ),
    "nobody who has the lease": Case(
        "NobodyPolls",
        {f"herald_polls{{{BOT}}}": "0x80", f"herald_poll_age_seconds{{{BOT}}}": "1x80"},
        quiet="1m45s",
        firing="2m15s",
    ),
    "a conflict": Case(
        "LeaseTrouble",
        {f"herald_poll_conflicts_total{{{BOT}}}": "0x7 1x40"},
        quiet="1m30s",
        firing="2m15s",
    ),
    "two that poll": Case(
        "LeaseTrouble",
        {
            f"herald_polls{{{BOT}}}": "1x20",
            'herald_polls{job="tg_bot", instance="c"}': "0x7 1x12",
        },
        quiet="1m45s",
        firing="2m15s",
    ),
    "a reply that was given up, after a quarter of an hour": Case(
        "RepliesGivenUp",
        {f'herald_replies_total{{outcome="given_up", {BOT}}}': "0x7 1x100"},
        quiet="18m",
        firing="3m",
    ),
    "a reply that Telegram refused": Case(
        "RepliesGivenUp",
        {f'herald_replies_total{{outcome="refused", {BOT}}}': "0+1x80"},
        quiet="15m",
    ),
    "entries that nobody reads": Case(
        "EventsWait",
        {
            f"herald_group_lag_seconds{{{GROUP}}}": "0+15x80",
            f"herald_group_oldest_pending_seconds{{{GROUP}}}": "_x80",
        },
        quiet="4m",
        firing="4m30s",
    ),
    "an entry that is not finished with": Case(
        "EventsWait",
        {
            f"herald_group_lag_seconds{{{GROUP}}}": "0x80",
            f"herald_group_oldest_pending_seconds{{{GROUP}}}": "0+15x80",
        },
        quiet="4m",
        firing="4m30s",
    ),
    "entries that wait for two minutes at most": Case(
        "EventsWait", {f"herald_group_lag_seconds{{{GROUP}}}": "120x80"}, quiet="15m"
    ),
    "a lag that is not known": Case(
        "EventsWait", {f"herald_group_lag_seconds{{{GROUP}}}": "_x80"}, quiet="15m"
    ),
    "the first dead letter since the start": Case(
        "DeadLetters",
        {f"herald_dead_letters_total{{{GROUP}}}": "_x7 1x100"},
        quiet="1m30s",
        firing="2m15s",
    ),
    "one more dead letter": Case(
        "DeadLetters",
        {f"herald_dead_letters_total{{{GROUP}}}": "1x99 2x100"},
        quiet="24m",
        firing="26m",
    ),
    "a dead letter of a quarter of an hour ago": Case(
        "DeadLetters", {f"herald_dead_letters_total{{{GROUP}}}": "1x199"}, quiet="20m"
    ),
    "a dead letter that stands for an hour": Case(
        "DeadLettersStand",
        {f'herald_dead_letters_standing{{stream="telegram_update",{BOT}}}': "0x4 1x300"},
        quiet="1h",
        firing="1h2m",
    ),
    "a dead letter that was replayed in time": Case(
        "DeadLettersStand",
        {f'herald_dead_letters_standing{{stream="telegram_update",{BOT}}}': "1x200 0x200"},
        quiet="1h5m",
    ),
    "a server that nobody reaches": Case(
        "RedisAway",
        {f"herald_redis_memory_used_bytes{{{BOT}}}": "1x7 _x40"},
        # Prometheus takes a sample to hold for five minutes where the process is away.
        quiet="6m",
        firing="10m",
    ),
    "memory that runs short for two minutes": Case(
        "StoreNearlyFull",
        {
            f"herald_redis_memory_used_bytes{{{BOT}}}": "80x7 81x40",
            f"herald_redis_memory_limit_bytes{{{BOT}}}": "100x47",
        },
        quiet="3m45s",
        firing="4m15s",
    ),
    "memory without a limit": Case(
        "StoreNearlyFull", {f"herald_redis_memory_used_bytes{{{BOT}}}": "1e12x80"}, quiet="15m"
    ),
    "a backup of more than 26 hours ago": Case(
        "BackupTooOld",
        {f"herald_backup_timestamp_seconds{{{BOT}}}": "0x1600"},
        quiet="25h59m",
        firing="26h1m",
        every="1m",
    ),
    "no backup for 26 hours": Case(
        "NoBackup",
        {f"herald_redis_memory_used_bytes{{{BOT}}}": "1x1600"},
        quiet="25h59m",
        firing="26h1m",
        every="1m",
    ),
}


def promtool(*words: str, folder: Path) -> str:
    """Return what promtool says.

    Raises:
        AssertionError: It says that something is wrong.
    """
    command = (str(ensure_prometheus() / "promtool"), *words)
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    """What is not in the table is not held to anything."""
    names = {alert.name for alert in alerts(PLAN, Thresholds())}
    assert {case.alert for case in CASES.values() if case.firing} == names


def test_every_alert_is_fired_for_a_real_trouble() -> None:
    """A rule that nobody has seen fire is one that may never fire."""
    text = Path(__file__).with_name("test_fired.py").read_text()
    names = {alert.name for alert in alerts(PLAN, SHORT)}
    assert [name for name in names if f'hears("{name}"' not in text] == []


@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_when_it_should(name: str, tmp_path: Path) -> None:
    """The committed rules, at a moment before and one after."""
    case = CASES[name]
    wanted = f'count by (alertname) (ALERTS{{alertname="{case.alert}", alertstate="firing"}})'
    if case.alert == "ServiceDown":
        wanted = wanted.replace("alertstate", 'job="backend", alertstate')

    def at(moment: str, *, fires: bool) -> dict[str, Any]:
        sample = {"labels": f'{{alertname="{case.alert}"}}', "value": 1}
        return {"expr": wanted, "eval_time": moment, "exp_samples": [sample] if fires else []}

    moments = [at(case.quiet, fires=False)]
    moments += [at(case.firing, fires=True)] if case.firing else []
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    content = {
        "rule_files": [str(FOLDER / "rules.yml")],
        "evaluation_interval": case.every,
        "tests": [{"interval": case.every, "input_series": series, "promql_expr_test": moments}],
    }
    (tmp_path / "case.yml").write_text(yaml.safe_dump(content))
    promtool("test", "rules", "case.yml", folder=tmp_path)


def test_prometheus_and_alertmanager_take_the_committed_files() -> None:
    """Rules without two of the same, jobs, who is told; checked by their own tools."""
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", folder=FOLDER)
    amtool = (str(ensure_prometheus() / "amtool"), "check-config", "telling.yml", "silent.yml")
    subprocess.run(amtool, cwd=FOLDER, check=True, capture_output=True)


def test_only_services_that_have_metrics_are_asked() -> None:
    """The simulator is no part of ours, and what watches does not watch itself."""
    content = prometheus_file(PLAN, Thresholds())
    assert [job["job_name"] for job in content["scrape_configs"]] == ["backend", "tg_bot"]
    names = content["scrape_configs"][1]["dns_sd_configs"][0]
    assert (names["names"], names["port"]) == (["tg_bot"], 8080)


def test_the_runbook_says_of_each_alert_what_to_do() -> None:
    """Under its name; and of nothing else."""
    text = (ROOT / RUNBOOK).read_text()
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    names = list(dict.fromkeys(alert.name for alert in alerts(PLAN, Thresholds())))
    assert headings == names


def test_each_rule_names_what_is_wrong() -> None:
    """A line, a meaning, a place in the runbook and how bad it is."""
    (group,) = rule_file(PLAN, Thresholds())["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert all(rule["annotations"][name] for name in ("summary", "description", "runbook"))

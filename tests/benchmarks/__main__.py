"""`make bench`: everything side by side in one run; a table, or JSON with --json."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from rich.console import Console
from rich.table import Table

from infra.dev.environment import ROOT
from tests.benchmarks import (
    answering,
    consuming,
    deploying,
    draining,
    observing,
    provisioning,
    publishing,
    scaling,
    syncing,
)
from tests.benchmarks.clocks import fsync_milliseconds
from tests.benchmarks.findings import Finding, Report

Measure = Callable[[Report, int, Callable[[str], None]], None]
PARTS: dict[str, Measure] = {
    "publish": publishing.measure,
    "drain": draining.measure,
    "answer": answering.measure,
    "consume": consuming.measure,
    "observe": observing.measure,
    "sync": syncing.measure,
    "scale": scaling.measure,
    "million": partial(scaling.measure, many=scaling.MILLION),
    "provision": provisioning.measure,
    "deploy": deploying.measure,
}
ON_SERVERS = {"provision", "deploy"}
"""Only where they are asked for: they take minutes, and a Docker engine of this machine."""
WHEN_ASKED_FOR = {*ON_SERVERS, "scale", "million"}
BIG = 100
"""From here on a value is shown without decimals."""


def main() -> int:
    """Measure and print; 0 whether or not targets are met: a busy machine is no defect."""
    options = _options()
    console = Console(stderr=True)
    with console.status("starting") as status:
        report = Report()
        say = status.update if console.is_terminal else console.log
        if ON_SERVERS & set(options.parts):
            engine = (sys.executable, "-m", "infra.engine", "--server")
            subprocess.run(engine, cwd=ROOT, check=True, stdout=sys.stderr)
        for part in options.parts:
            PARTS[part](report, options.rounds, say)
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    report.note(
        f"{os.cpu_count()} processors, load {load}; fsync {fsync_milliseconds():.2f} ms; medians "
        f"of {options.rounds} rounds in which all take turns; Redis with appendfsync always"
    )
    if os.getloadavg()[0] > 2 * (os.cpu_count() or 1):
        report.note(
            "the machine is busy with other work: waiting for a turn hides what is measured; the "
            "lines of processor time, and their ratios, hold nevertheless"
        )
    for finding in report.findings:
        if finding.missed_by:
            beside = f" beside {finding.peer}" if finding.peer else ""
            report.note(f"missed by {finding.missed_by}: {finding.what}{beside}")
    if options.json:
        json.dump(_as_json(report), sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        _print(report)
    return os.EX_OK


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds of every measurement (default: 3)"
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"what to measure: {', '.join(PARTS)}; without a name all but the last four",
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {unknown.pop()!r}; there are: {', '.join(PARTS)}")
    options.parts = options.parts or [part for part in PARTS if part not in WHEN_ASKED_FOR]
    return options


def _print(report: Report) -> None:
    table = Table(title="Herald beside its peers", title_justify="left")
    for column in ("", "Herald", "peer", "", "ratio", "target", ""):
        table.add_column(column, justify="left" if column in {"", "peer"} else "right")
    for finding in report.findings:
        mark = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[finding.met]
        table.add_row(
            finding.what,
            _shown(finding, finding.ours),
            finding.peer,
            _shown(finding, finding.theirs),
            "" if finding.ratio is None else f"{finding.ratio:.2f}",
            str(finding.target or ""),
            mark,
        )
    console = Console(width=None if sys.stdout.isatty() else 130)
    console.print(table)
    for note in report.notes:
        console.print(f"• {note}", highlight=False)


def _shown(finding: Finding, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f} {finding.unit}" if value >= BIG else f"{value:.2f} {finding.unit}"


def _as_json(report: Report) -> dict[str, object]:
    findings = [
        {**asdict(finding), "target": str(finding.target or ""), "met": finding.met}
        for finding in report.findings
    ]
    return {"findings": findings, "notes": report.notes}


if __name__ == "__main__":
    raise SystemExit(main())

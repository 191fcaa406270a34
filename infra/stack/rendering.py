"""Render the plan: every file as a whole, by templates that hold layout only."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.places.templates import templates
from infra.places.writing import changed
from infra.stack.compose.containers import compose_files
from infra.stack.compose.file import ComposeFile
from infra.stack.declared.reference import REFERENCE, render_reference
from infra.stack.declared.schema import SCHEMA, render_schema
from infra.stack.pages.service_pages import tables
from infra.stack.pages.topology import (
    BOX_WIDTH,
    PILL_HEIGHT,
    PILL_WIDTH,
    legend,
    picture,
    stand_ins,
    used_events,
    waits,
)
from infra.stack.pages.variables import groups, profiles
from infra.stack.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "infra"
ENV_EXAMPLE = ".env.example"
COMPOSE = "infra/compose.{}.yml"
PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*|\$\{[^\"'{}#\s]*\}")
NOT_TEXT = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|~")

Rendered = dict[str, str]


@dataclass(frozen=True, slots=True)
class Rendering:
    """The text of every file by its path, and what the Compose files among them have to say."""

    texts: Rendered
    compose: dict[str, ComposeFile]


def render(plan: Plan, root: Path) -> Rendering:
    """Return every rendered file by its path in the repository.

    Args:
        plan: the stack.
        root: the repository, for the files that are rendered in part only.
    """
    layout = templates(TEMPLATES, yaml=scalar, flow=flow)
    compose = {COMPOSE.format(name): file for name, file in compose_files(plan).items()}
    rendered = {
        path: layout(f"{Path(path).name}.jinja", file=file) for path, file in compose.items()
    }
    rendered |= _topology(plan, layout)
    rendered |= {ENV_EXAMPLE: _example(plan, layout), SCHEMA: render_schema()}
    rendered[REFERENCE] = render_reference()
    return Rendering(rendered | tables(plan, root), compose)


def _topology(plan: Plan, layout: Callable[..., str]) -> Rendered:
    drawn = picture(plan)
    sizes = {"box_width": BOX_WIDTH, "pill_width": PILL_WIDTH, "pill_height": PILL_HEIGHT}
    return {
        "infra/topology.svg": layout(
            "topology.svg.jinja", picture=drawn, sizes=sizes, legend=legend(drawn)
        ),
        "infra/topology.md": layout(
            "topology.md.jinja",
            plan=plan,
            events=used_events(plan),
            waits={service.name: waits(service) for service in plan.services},
            stand_ins=stand_ins(plan),
        ),
    }


def verify_changes(root: Path, rendering: Rendering) -> None:
    """Hold what is about to be written to the plan; what is there already was held to it.

    Raises:
        RenderingError: a template is wrong.
    """
    differs = changed(root, rendering.texts)
    wanted = {path: file for path, file in rendering.compose.items() if path in differs}
    if wanted:
        from infra.stack.compose.verification import verify  # noqa: PLC0415  most runs write nothing

        for path, file in wanted.items():
            verify(path, rendering.texts[path], file)


def _example(plan: Plan, layout: Callable[..., str]) -> str:
    settings, optional = groups(plan), profiles(plan)
    return layout("../.env.example.jinja", groups=settings, profiles=optional)


def scalar(value: Any) -> str:
    """Return a value as YAML: plain where that is safe and quoted everywhere else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    if PLAIN.fullmatch(value) and not NOT_TEXT.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def flow(values: tuple[str, ...]) -> str:
    """Return a list in one line, each item quoted."""
    return json.dumps(list(values), ensure_ascii=False)

"""Render the plan: every file as a whole, by templates that hold layout only."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.places.templates import templates
from infra.places.writing import changed
from infra.places.yaml_text import block
from infra.stack.compose.copies import COMMENTS, companion_of
from infra.stack.compose.documents import Document, compose_files
from infra.stack.declared.reference import REFERENCE, render_reference
from infra.stack.declared.schema import SCHEMA, render_schema
from infra.stack.ingress import ingress_files
from infra.stack.observability.files import observability_files
from infra.stack.pages.service_pages import tables
from infra.stack.pages.shapes import BOX_WIDTH, PILL_HEIGHT, PILL_WIDTH
from infra.stack.pages.shown import SHOWN, shown_stack
from infra.stack.pages.topology import legend, picture, waits
from infra.stack.pages.variables import groups, profiles
from infra.stack.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "infra"
ENV_EXAMPLE = ".env.example"
COMPOSE = "infra/compose.{}.yml"
KINDS = {"redis": "The event streams.", "postgres": "What the services store."}

Rendered = dict[str, str]


@dataclass(frozen=True, slots=True)
class Rendering:
    """The text of every file by its path, and what the Compose files among them have to say."""

    texts: Rendered
    compose: dict[str, Document]


def render(plan: Plan, root: Path) -> Rendering:
    """Return every rendered file by its path in the repository.

    Args:
        plan: the stack.
        root: the repository, for the files that are rendered in part only.
    """
    layout = templates(TEMPLATES, block=block)
    compose = {COMPOSE.format(name): file for name, file in compose_files(plan).items()}
    comments = {part.name: KINDS[part.type] for part in plan.infrastructure}
    comments |= {companion_of(part): COMMENTS[part.type] for part in plan.infrastructure}
    comments |= {service.name: service.description for service in plan.services}
    rendered = {
        path: layout(f"{Path(path).name}.jinja", file=file, comments=comments)
        for path, file in compose.items()
    }
    rendered |= _topology(plan, layout)
    rendered |= {ENV_EXAMPLE: _example(plan, layout), SCHEMA: render_schema()}
    rendered[REFERENCE] = render_reference()
    rendered |= observability_files(plan) | ingress_files(plan)
    if any(service.console for service in plan.services):
        rendered[SHOWN] = shown_stack(plan)
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
            waits={service.name: waits(service) for service in plan.services},
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

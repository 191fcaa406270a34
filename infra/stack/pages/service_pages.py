"""The table of variables in each service's AGENTS.md, between two markers.

Everything outside the markers belongs to the people who write the page. A page without markers
gets the section at its end; a page that does not exist is not made here.
"""

from pathlib import Path

from infra.stack.compose.addresses import in_compose
from infra.stack.plan import Plan, Service, Variable

BEGIN = "<!-- variables: rendered from services.yml by `make sync-services` -->"
END = "<!-- /variables -->"
HEADING = "## Variables"


def page(service: Service) -> str:
    """Return the path of a service's page in the repository."""
    return f"services/{service.name}/AGENTS.md"


def tables(plan: Plan, root: Path) -> dict[str, str]:
    """Return the pages that exist, by path, each with its table brought up to date."""
    rendered = {}
    for service in plan.services:
        path = root / page(service)
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            rendered[page(service)] = with_table(text, table(plan, service))
    return rendered


def with_table(text: str, content: str) -> str:
    """Return a page with the content between its markers."""
    block = f"{BEGIN}\n\n{content}\n{END}"
    before, begin, rest = text.partition(BEGIN)
    if not begin:
        return f"{text.rstrip()}\n\n{HEADING}\n\n{block}\n".lstrip()
    _, end, after = rest.partition(END)
    return f"{before}{block}{after if end else rest}"


def table(plan: Plan, service: Service) -> str:
    """Return the service's variables as a Markdown table."""
    if not service.env:
        return "It reads no variables.\n"
    lines = ["| variable | value | what it is for |", "| --- | --- | --- |"]
    lines += [
        f"| `{variable.name}` | {_value(plan, service, variable)} | {_cell(variable.description)} |"
        for variable in service.env
    ]
    return "\n".join(lines) + "\n"


def _value(plan: Plan, service: Service, variable: Variable) -> str:
    given_as = f", as `{variable.alias}`" if variable.alias else ""
    if variable.secret:
        return f"secret{given_as}; in prod the file that `{variable.name}_FILE` names"
    if variable.kind == "required":
        return f"set by whoever runs the stack{given_as}"
    if variable.reference:
        shown = in_compose(plan, variable.reference, service.name)
        return f"`{_cell(shown)}`, from {variable.reference.target}"
    shown = f"`{_cell(variable.value)}`" if variable.value else "empty"
    return f"{shown} by default{given_as}" if variable.kind == "default" else shown


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

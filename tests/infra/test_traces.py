"""docs/TRACES.md shows how a collector becomes a part of the stack."""

import re
from pathlib import Path

import pytest

from infra.stack import load_plan
from infra.stack.compose.documents import compose_files
from infra.stack.plan import OVERLAYS, Overlay

ROOT = Path(__file__).resolve().parents[2]
STACK = ROOT / "services.yml"
TRACED = ("backend", "tg_bot")
VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
NOT_TRACED = f'{VARIABLE}: &traces\n        default: ""\n'


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_collector_as_the_page_has_it_is_reached(overlay: Overlay, tmp_path: Path) -> None:
    """Bot and backend have its address and a network to it; it has the only way out it needs."""
    page = (ROOT / "docs/TRACES.md").read_text(encoding="utf-8")
    service, variable = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    text = STACK.read_text(encoding="utf-8")
    assert text.count(NOT_TRACED) == 1
    (tmp_path / "shared").symlink_to(ROOT / "shared")
    stack = tmp_path / "services.yml"
    stack.write_text(text.replace(NOT_TRACED, variable.lstrip()) + service)
    rendered = compose_files(load_plan(stack))
    parts = {
        name: [rendered[part]["services"].get(name, {}) for part in parts_of(overlay)]
        for name in (*TRACED, "collector")
    }
    networks = {
        name: {network for part in files for network in part.get("networks", ())}
        for name, files in parts.items()
    }
    for name in TRACED:
        address = [
            part["environment"].get(VARIABLE) for part in parts[name] if "environment" in part
        ]
        assert "http://collector:4318" in address
        assert networks[name] & networks["collector"]
    assert ("egress" in networks["collector"]) == (overlay != "tests")


def parts_of(overlay: Overlay) -> tuple[str, ...]:
    """Return the files that are one overlay together."""
    return ("base", "dev") if overlay == "dev" else (overlay,)

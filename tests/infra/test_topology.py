"""The picture: complete, well-formed, and readable with many services as well."""

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from infra.stack import Plan, load_plan
from infra.stack.pages.shapes import BOX_WIDTH, PILL_WIDTH
from infra.stack.pages.topology import picture
from tests.infra.stack import STACK

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
EVENTS = ("command_received", "reminder_due", "payment_made", "user_registered")


def large(folder: Path) -> Plan:
    """Return a stack of twelve services that say and hear a lot."""
    spec = folder / "shared/spec/events.yaml"
    spec.parent.mkdir(parents=True)
    spec.write_text("channels:\n" + "".join(f"  {name}: {{address: {name}}}\n" for name in EVENTS))
    services = "".join(
        f"  - name: service_{number}\n    type: python-faststream\n"
        "    depends_on: {redis: service_healthy, postgres: service_healthy}\n"
        "    env: {REDIS_URL: {from: redis}, DATABASE_URL: {from: postgres}}\n"
        f"    publishes: [{EVENTS[number % 4]}]\n"
        + (f"    subscribes: [{EVENTS[(number + 1) % 4]}]\n" if number % 2 else "")
        for number in range(12)
    )
    path = folder / "services.yml"
    infrastructure = "infrastructure: {redis: {type: redis}, postgres: {type: postgres}}\n"
    path.write_text(f"version: 1\nproject: demo\n{infrastructure}services:\n{services}")
    return load_plan(path)


def test_everything_is_in_the_picture() -> None:
    """Every service, stream and part of the infrastructure is named; the page shows the picture."""
    plan = load_plan(ROOT / "services.yml")
    drawn = ET.parse(ROOT / "infra/topology.svg").getroot()  # noqa: S314  our own file
    texts = {text.text for text in drawn.iter(f"{SVG}text")}
    assert "](topology.svg)" in (ROOT / "infra/topology.md").read_text(encoding="utf-8")
    for name in (
        *(service.name for service in plan.services),
        *(part.name for part in plan.infrastructure),
        *(event.name for event in plan.events),
    ):
        assert name in texts


@pytest.mark.parametrize("size", ["ours", "large"])
def test_nothing_overlaps_and_nothing_sticks_out(size: str, tmp_path: Path) -> None:
    """Boxes keep their distance and stay on the sheet, with three services and with twelve."""
    drawn = picture(load_plan(STACK) if size == "ours" else large(tmp_path))
    areas = [(box.x, box.y, box.x + BOX_WIDTH, box.y + box.height) for box in drawn.boxes]
    assert drawn.streams is not None
    whole = drawn.streams
    areas.append((whole.x, whole.y, whole.x + whole.width, whole.y + whole.height))
    for area, other in itertools.combinations(areas, 2):
        apart = area[2] < other[0] or other[2] < area[0] or area[3] < other[1] or other[3] < area[1]
        assert apart
    assert all(left >= 0 and top >= 0 for left, top, _, _ in areas)
    assert all(right <= drawn.width and low <= drawn.height for _, _, right, low in areas)
    for pill in whole.pills:
        assert whole.x < pill.x < pill.x + PILL_WIDTH < whole.x + whole.width


def test_each_publisher_and_each_reader_has_an_arrow(tmp_path: Path) -> None:
    """Who says and who hears is drawn once for each pair of a service and a stream."""
    plan = large(tmp_path)
    flows = [arrow for arrow in picture(plan).arrows if arrow.style in {"publishes", "subscribes"}]
    pairs = {
        (name, event.name)
        for event in plan.events
        for name in (*event.publishers, *event.subscribers)
    }
    assert len(flows) == len(pairs)

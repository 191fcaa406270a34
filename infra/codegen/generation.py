"""Which specs there are, and which file each of them makes."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from infra.codegen import events, models, operations, render
from infra.codegen.documents import SpecError, load

MODELS = Path("shared/spec/models.yaml")
EVENTS = Path("shared/spec/events.yaml")
SHARED = Path("shared/src/shared/generated")
SERVICE_SPECS = "services/*/spec/*.yaml"


class Generated(NamedTuple):
    """Every generated file.

    Attributes:
        files: Text by path, relative to the repository.
        folders: The folders that hold generated modules and nothing else.
    """

    files: dict[Path, str]
    folders: tuple[Path, ...]


def generate(root: Path) -> Generated:
    """Return every file that the specs make; nothing is written.

    Args:
        root: The repository.

    Raises:
        SpecError: Any of the specs cannot be used; it lists the faults of them all.
    """
    checked = models.check(load(root, root / MODELS))
    faults: list[str] = []
    files: dict[Path, str] = {}
    for path in (EVENTS, *_service_specs(root)):
        try:
            document = load(root, root / path)
            if path == EVENTS:
                channels = events.check(document, checked)
                files[SHARED / "events.py"] = render.events(channels, path.as_posix())
            else:
                api = operations.check(document, checked)
                target = _package(path) / f"{api.name}.py"
                files[target] = render.router(api, path.as_posix())
        except SpecError as error:
            faults += error.faults
    if faults:
        raise SpecError(faults)
    files[SHARED / "schemas.py"] = render.schemas(checked)
    sources = {SHARED: SHARED.parents[2] / "spec"}
    sources |= {_package(path): path.parent for path in _service_specs(root)}
    for folder, source in sources.items():
        files[folder / "__init__.py"] = render.package("Made from specs.", source.as_posix())
    return Generated(files, (*sources, *_left_over(root)))


def _service_specs(root: Path) -> list[Path]:
    return sorted(path.relative_to(root) for path in root.glob(SERVICE_SPECS))


def _package(spec: Path) -> Path:
    service = spec.parents[1]
    return service / "src" / service.name / "generated"


def _left_over(root: Path) -> Iterator[Path]:
    """Yield the generated packages of services, whether or not they still have specs."""
    for path in root.glob("services/*/src/*/generated"):
        yield path.relative_to(root)

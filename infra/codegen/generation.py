"""Which specs there are, and which file each of them makes."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from infra.codegen import render
from infra.codegen.specs import events, models, operations
from infra.codegen.specs.documents import SpecError, load

MODELS = Path("shared/spec/models.yaml")
EVENTS = Path("shared/spec/events.yaml")
SHARED = Path("shared/src/shared/generated")
SERVICE_SPECS = "services/*/spec/*.yaml"


def generate(root: Path) -> dict[str, str | None]:
    """Return every file that the specs make, by its path, and None for each that has lost its spec.

    Nothing is written.

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
    wanted: dict[str, str | None] = {path.as_posix(): files[path] for path in sorted(files)}
    return wanted | {path: None for path in _generated(root, sources) if path not in wanted}


def _service_specs(root: Path) -> list[Path]:
    return sorted(path.relative_to(root) for path in root.glob(SERVICE_SPECS))


def _package(spec: Path) -> Path:
    service = spec.parents[1]
    return service / "src" / service.name / "generated"


def _generated(root: Path, folders: Iterable[Path]) -> Iterator[str]:
    """Yield every module of generated packages, also of those that have no specs any more."""
    packages = {*(root / folder for folder in folders), *root.glob("services/*/src/*/generated")}
    for package in sorted(packages):
        yield from (path.relative_to(root).as_posix() for path in sorted(package.glob("*.py")))

"""Thousands of broken services.yml: each is taken, or answered with its places, never a traceback.

Every node of our own declaration is deleted, emptied, doubled, and replaced by what does not belong
there. Which of all these mutations a run tries is spread evenly over them and the same every time.
"""

import re
from pathlib import Path

import pytest

from infra.stack.__main__ import main
from infra.stack.compose.documents import compose_files
from infra.stack.loading import load
from tests.infra.mutating import mutate, spread
from tests.infra.stack import STACK

ROOT = Path(__file__).resolve().parents[2]
DECLARATION = STACK.read_text(encoding="utf-8")
MUTATIONS = 2000
PLACE = re.compile(r"services\.yml:(\d+):(\d+): \S")
CHOSEN = spread(DECLARATION, MUTATIONS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with our events, whose services.yml the tests write."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "shared").symlink_to(ROOT / "shared")
    return folder


def answer(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """Load a text as services.yml and hold what is said to its form; return the exit code."""
    path = folder / "services.yml"
    path.write_text(text, encoding="utf-8")
    code = main(["--file", str(path), "explain", "backend"])
    said = capsys.readouterr().err.splitlines()
    if code == 0:
        assert compose_files(load(path).plan)
        return code
    assert code == 65, said
    *mistakes, last = said
    if mistakes:
        lines = len(text.splitlines())
        assert last.endswith("nothing was written")
        places = [PLACE.match(line) for line in mistakes if line.startswith("services.yml:")]
        assert places
        assert all(match and int(match[1]) <= lines + 1 for match in places)
    return code


@pytest.mark.parametrize("part", range(20))
def test_a_mutation_is_taken_or_answered(
    part: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0, or 65 with `services.yml:LINE:COL: message`; both happen."""
    codes = set()
    for place, how in CHOSEN[part::20]:
        try:
            codes.add(answer(mutate(DECLARATION, place, how), folder, capsys))
        except Exception as error:
            raise AssertionError(f"{how} at {place}: {error!r}") from error
    assert codes == {0, 65}

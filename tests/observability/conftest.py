"""The watched stack of a file of tests: each test makes its trouble and mends it."""

from collections.abc import Iterator

import pytest

from tests.observability.watched import Watched


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A stack that works, and those who watch it."""
    with Watched(tmp_path_factory.mktemp("watched")) as watched:
        yield watched

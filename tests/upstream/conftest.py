"""What the libraries leave behind when they are made to fail is theirs."""

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def leftovers() -> Iterator[None]:
    """Collect open sockets and the like without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()

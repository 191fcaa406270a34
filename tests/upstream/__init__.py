"""Faults of others that Herald works around, each shown to be there still; docs/UPSTREAM.md.

A test passes while the fault shows. Where a newer version no longer shows it, the test fails and
says so: then the workaround can go, with its test and its entry.
"""

import pytest


def still(shows: bool, fault: str, workaround: str) -> None:  # noqa: FBT001 — reads as a sentence
    """Fail, with what is to be done, where a fault does not show any more."""
    if not shows:
        pytest.fail(
            f"{fault}: this version no longer does. {workaround} can go, and so can this test and "
            "its entry in docs/UPSTREAM.md."
        )

"""What is laid out as YAML is read back as the same data, whatever the texts are."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra.places.source import YAML_1_1
from infra.places.yaml_text import block, line

WORDS = ["on", "No", "~", "null", "0777", "22:22", "1e3", "1.5", "", " ", "5s", "1m30s", "10K"]
WORDS += ["2026-01-31", "${A:-}", "${A:-b}", "a: b", "a #b", "*a", "&a", "- a", "127.0.0.1::80"]
TEXT = st.sampled_from(WORDS) | st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
SCALAR = TEXT | st.booleans() | st.integers()
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(TEXT, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(table=st.dictionaries(TEXT, VALUE, min_size=1, max_size=4), depth=st.integers(0, 3))
def test_a_block_is_the_data_that_it_was_made_of(table: dict[str, Any], depth: int) -> None:
    """By a reader of YAML 1.1, which takes more words for something else than text."""
    assert yaml.load(block(table, *table, depth=depth), Loader=YAML_1_1) == table  # noqa: S506


@pytest.mark.parametrize("word", ["5s", "1m30s", "256M", "service_healthy", "/a-b.c"])
def test_what_is_plainly_text_has_no_quotes(word: str) -> None:
    """Durations, sizes, names and paths read as people write them."""
    assert line({"a": word}) == f"{{a: {word}}}"

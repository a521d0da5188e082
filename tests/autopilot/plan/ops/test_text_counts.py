"""Prose becomes counts on ladders."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot.plan.ops import TextCounts
from autopilot.plan.ops.text_counts import LADDERS
from tests.graphs import both, rows_of
from tests.strategies import prose, raw_frame, signature_of

TEXT = signature_of(("text",))
ALL = TextCounts(("c0",), tuple(LADDERS))


def features(*texts: str | None) -> list[list[float]]:
    """Of one column."""
    return both(ALL, TEXT, raw_frame(("text",), [(text,) for text in texts]))


def test_counts_are_the_steps_that_they_reach() -> None:
    """Characters from 8, spaces from 2, digits and capitals from 1, marks; each step doubles the one before."""
    assert ALL.names() == tuple(
        f"{count} in c0"
        for count in ("characters", "spaces", "digits", "capitals", "exclamation marks", "question marks")
    )
    assert features("Call 08712300220 NOW!!!", "why? why?", "a b c d e", "", None) == [
        [2, 1, 4, 3, 2, 0],
        [1, 0, 0, 0, 0, 1],
        [1, 2, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize(("length", "steps"), [(7, 0), (8, 1), (999, 7), (1000, 8), (5000, 8)])
@pytest.mark.parametrize("character", ["x", "\U0001f600", "\n", "\0", "é"])
def test_characters_are_code_points(length: int, steps: int, character: str) -> None:
    """Whatever bytes they take; newlines and NUL too."""
    assert features(character * length)[0][0] == steps


@given(
    text=prose
    | st.lists(st.sampled_from(["A", "7", "!", "?", " ", "é", "É", "٣", "\n", "ab"]), max_size=120).map("".join)
)
def test_counts_agree_with_python(text: str | None) -> None:
    """Digits and capitals are those of ASCII."""
    text = text or ""
    counts = {
        "characters": len(text),
        "spaces": text.count(" "),
        "digits": sum(c in "0123456789" for c in text),
        "capitals": sum("A" <= c <= "Z" for c in text),
        "exclamation marks": text.count("!"),
        "question marks": text.count("?"),
    }
    assert features(text) == [[sum(counts[name] >= step for step in LADDERS[name].steps) for name in LADDERS]]


def test_what_does_not_vary_in_any_column_is_left_out() -> None:
    """Here only digits vary in one column and marks in the other."""
    kinds = ("text", "text")
    train = raw_frame(kinds, [("a 1", "b"), ("a b", "!")])
    op = TextCounts.fit(rows_of(signature_of(kinds), train))
    assert op == TextCounts(("c0", "c1"), ("digits", "exclamation marks"))
    assert both(op, signature_of(kinds), train) == [[1, 0, 0, 0], [0, 0, 0, 1]]
    assert op.narrowed([3]) == TextCounts(("c0", "c1"), ("exclamation marks",))
    assert TextCounts.fit(rows_of(TEXT, pl.DataFrame({"c0": ["a", "b"]}))) is None

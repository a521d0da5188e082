"""Whatever is wrong with a value of a sensitive column, the message names row, column and type, and never the value."""

from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Column, DataError, InputError, RowError, Signature
from storage.boundary import RowReader, checked, held, typed
from storage.signature import Dropped, Kind
from tests.refusals import raises

TOKENS = st.text("bcdghkqwxz", min_size=12, max_size=90)  # neither a number nor a time, and in none of our words
BEYOND_FLOAT = st.integers(10**310, 10**330)  # beyond the microseconds of int64, too
FRACTIONS = st.floats(1e9, 1e12).filter(lambda number: number % 1 != 0)
NESTS = TOKENS.flatmap(lambda token: st.sampled_from([[token], {token: 1}, {"x": token}, [[token]], token.encode()]))
WRONG: dict[Kind, st.SearchStrategy[Any]] = {
    "number": TOKENS | BEYOND_FLOAT | NESTS,
    "category": FRACTIONS | NESTS,
    "text": FRACTIONS | NESTS,
    "time": TOKENS | BEYOND_FLOAT | NESTS,
}
WRONG_CELLS = st.sampled_from(list(WRONG)).flatmap(lambda kind: st.tuples(st.just(kind), WRONG[kind]))


def signature_of(kind: Kind) -> Signature:
    return Signature("regression", "y", (Column("secret", kind, "any", sensitive=True),))


def told(error: BaseException | None) -> Iterator[str]:
    """What a traceback prints: the message, and those of the errors that it came from."""
    while error is not None:
        yield str(error)
        error = error.__cause__ or error.__context__


def leaks(value: Any, words: str) -> bool:
    """Whether a part of a value that nobody writes by accident is in these words."""
    if isinstance(value, list):
        return any(leaks(part, words) for part in value)
    if isinstance(value, dict):
        return any(leaks(part, words) for pair in value.items() for part in pair)
    text = value.decode() if isinstance(value, bytes) else str(value)
    return len(text) > 6 and text[:7] in words


@given(cell=WRONG_CELLS)
def test_a_row_is_refused_without_its_value(cell: tuple[Kind, Any]) -> None:
    """By the reader that raises, and by the one that tells each row."""
    kind, value = cell
    reader = RowReader(signature_of(kind))
    with pytest.raises(RowError, match=f"^Column 'secret' was {kind} in training; row 1 holds an? ") as caught:
        reader.read([{"secret": None}, {"secret": value}])
    _, [_, words] = reader.checked([{"secret": None}, {"secret": value}])
    assert not any(leaks(value, line) for line in [*told(caught.value), str(words)])


@given(cell=WRONG_CELLS.filter(lambda cell: not isinstance(cell[1], int)))
def test_a_frame_is_refused_without_its_value(cell: tuple[Kind, Any]) -> None:
    """By the reader that raises, and by the one that tells each row."""
    kind, value = cell
    frame = pl.DataFrame([pl.Series("secret", [None, value])])
    with pytest.raises(DataError, match=f"^Column 'secret' was {kind} in training; row 1 holds an? ") as caught:
        typed(signature_of(kind), frame)
    _, errors = checked(signature_of(kind), frame)
    assert not any(leaks(value, line) for line in [*told(caught.value), errors[1]])


@given(token=TOKENS)
def test_what_stands_in_the_place_of_a_struct_or_list_is_not_told(token: str) -> None:
    """A part of it is sensitive, be it one that training dropped; beside it, values are told."""
    columns = (
        Column("home.zip", "category", "String", path=("home", "zip"), sensitive=True),
        Column("xy[0]", "number", "Float64", path=("xy", 0)),
    )
    dropped = (Dropped("xy[1]", "is constant", ("xy", 1), sensitive=True),)
    reader = RowReader(Signature("regression", "y", columns, dropped))
    for row in ({"home": token, "xy": [1, 2]}, {"home": {"zip": "1"}, "xy": token}):
        with pytest.raises(RowError, match=f"holds a string of {len(token)} characters. Send ") as caught:
            reader.read([row])
        assert not any(leaks(token, line) for line in told(caught.value))


@given(token=TOKENS)
def test_a_row_without_names_is_not_told(token: str) -> None:
    """It may hold the values of sensitive columns in their order."""
    for row in (token, [token]):
        with pytest.raises(RowError, match=r"^Row 0 is an? ") as caught:
            RowReader(signature_of("text")).read([row])  # type: ignore[list-item]
        assert not any(leaks(token, line) for line in told(caught.value))


def test_other_columns_are_told_as_ever() -> None:
    """The mark is a column's own."""
    columns = (Column("name", "text", "String", sensitive=True), Column("age", "number", "Int64"))
    with raises(InputError, "Column 'age' was number in training; row 0 holds 'n/a'. Send a number or null."):
        RowReader(Signature("regression", "y", columns)).read([{"name": "Jane", "age": "n/a"}])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        ("x", "a string of 1 character"),
        (True, "a boolean"),
        (1.5, "a number"),
        (date(2024, 5, 1), "a date or time"),
        (time(12), "a time of day"),
        (timedelta(1), "a duration"),
        (b"x", "a value of another type"),
        ([1], "an array of 1 value"),
        ({}, "an object"),
    ],
)
def test_a_type_is_told_in_words(value: Any, words: str) -> None:
    """As JSON has it."""
    assert held(value, sensitive=True) == words


def test_a_signature_of_an_earlier_version_has_no_sensitive_columns() -> None:
    """The field is new; files that were written before it are read."""
    old = b'{"task":"regression","target":"y","columns":[{"name":"x","kind":"text","dtype":"String"}]}'
    assert not msgspec.json.decode(old, type=Signature).has_sensitive

"""JSON bodies become a model's inputs, or an error that names row and column."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BodyError
from serving.formats.json_rows import JsonRows
from storage import Column, RowError, Signature
from storage.boundary import MISSING_TIME, Blocks, blocks_of_rows
from storage.signature import Dropped
from tests.portable import CLASSIFIER, ROWS

ROW = {"amount": 4.0, "town": "Ulm", "visits": 2, "seen": "2023-05-01"}


def decode(body: Any, signature: Signature = CLASSIFIER) -> Blocks:
    return JsonRows(signature).decode(body if isinstance(body, bytes) else json.dumps(body).encode())


def same(left: Blocks, right: Blocks) -> bool:
    return (
        np.array_equal(left.number, right.number, equal_nan=True)
        and left.text.tolist() == right.text.tolist()
        and left.time.tolist() == right.time.tolist()
        and [block.dtype for block in left] == [block.dtype for block in right]
        and [block.shape for block in left] == [block.shape for block in right]
    )


@pytest.mark.parametrize("body", [ROW, [ROW], {"instances": [ROW]}])
def test_a_row_a_list_and_instances_are_the_same_row(body: Any) -> None:
    """Three shapes of a body mean the same."""
    blocks = decode(body)
    assert blocks.number.tolist() == [[4.0, 2.0]]
    assert blocks.text.tolist() == [["Ulm"]]
    assert blocks.time.tolist() == [[1_682_899_200_000_000]]  # date -d 2023-05-01Z +%s


def test_null_is_missing_in_each_kind_of_column() -> None:
    """Null becomes NaN, the empty string and the smallest int64."""
    blocks = decode(dict.fromkeys(ROW))
    assert np.isnan(blocks.number).all()
    assert blocks.text.tolist() == [[""]]
    assert blocks.time.tolist() == [[MISSING_TIME]]


def test_target_and_dropped_columns_are_ignored_whatever_they_hold() -> None:
    """A row of the training table can be sent as it is."""
    assert same(decode({**ROW, "paid": [1, {"a": None}], "id": 7}), decode(ROW))


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
TIMES = st.one_of(st.none(), st.datetimes().map(str), st.integers(-(2**62), 2**62))


@given(
    st.lists(
        st.fixed_dictionaries(
            {"amount": VALUES, "town": VALUES, "visits": st.one_of(st.none(), st.floats(-9, 9)), "seen": TIMES},
            optional={"paid": VALUES, "more": VALUES},
        ),
        min_size=1,
        max_size=4,
    )
)
def test_typed_decoding_means_what_the_boundary_means(rows: list[dict[str, Any]]) -> None:
    """The fast way gives the arrays, and the errors, that `storage.boundary` gives for the same rows."""
    try:
        expected: Blocks | str = blocks_of_rows(CLASSIFIER, json.loads(json.dumps(rows)))
    except RowError as error:
        expected = str(error)
    try:
        actual: Blocks | str = decode(rows)
    except RowError as error:
        actual = str(error)
    if isinstance(expected, Blocks) and isinstance(actual, Blocks):
        assert same(actual, expected)
    else:
        assert actual == expected


ODD = Signature(
    "regression",
    "y",
    (
        Column("zone", "category", "Int64"),
        Column("flag", "category", "Boolean"),
        Column("on", "number", "Boolean"),
        Column("ts", "time", "Int64", format="s"),
        Column("day", "time", "String", format="%d/%m/%Y"),
        Column("home.zip", "category", "String", path=("home", "zip")),
        Column("emb[0]", "number", "Float64", path=("emb", 0)),
        Column("tags", "text", "List(String)"),
    ),
    (Dropped("emb[1]", "is the same in every row", ("emb", 1)),),
)
LEVELS = st.sampled_from(
    ["5", "05", "5.0", " 5", "-0", "north", "true", "True", "1", 5, 1, 0, True, False, None, 5.0, ""]
)
ODD_ROWS = st.fixed_dictionaries(
    {
        "zone": LEVELS,
        "flag": LEVELS,
        "on": LEVELS,
        "ts": st.sampled_from([1714521600, "1714521600", 1714521600.5, "2024-05-01", None, "", "soon", True]),
        "day": st.sampled_from(["1/5/2024", "2024-05-01", "5.1.2024", None, 7]),
        "tags": st.sampled_from(["a b", ["a", "b"], ["a", None], [], None, [1]]),
    },
    optional={
        "home": st.sampled_from([{"zip": "1"}, {"zip": 1}, {}, None, "x", {"zip": "1", "zap": 2}]),
        "home.zip": st.sampled_from(["2", None]),
        "emb": st.sampled_from([[1.5, 2], [1.5], None, ["x", 1], "x"]),
        "emb[0]": st.sampled_from([2.5, "2.5", None]),
        "emb[1]": VALUES,
    },
)


@given(st.lists(ODD_ROWS, min_size=1, max_size=3))
def test_typed_decoding_means_the_same_for_codes_formats_and_nested_rows(rows: list[dict[str, Any]]) -> None:
    """Levels that training had as numbers, times by their format, structs and lists."""
    try:
        expected: Blocks | str = blocks_of_rows(ODD, rows)
    except RowError as error:
        expected = str(error)
    try:
        actual: Blocks | str = decode(rows, ODD)
    except RowError as error:
        actual = str(error)
    if isinstance(expected, Blocks) and isinstance(actual, Blocks):
        assert same(actual, expected)
    else:
        assert actual == expected


def test_rows_may_hold_structs_and_lists_as_the_training_table_did() -> None:
    """In each shape of a body."""
    row = {"zone": 5, "flag": True, "on": "false", "ts": 1, "day": None, "tags": ["a", "b"]}
    nested, flat = {**row, "home": {"zip": "1"}, "emb": [1.5, 0]}, {**row, "home.zip": "1", "emb[0]": 1.5}
    for body in (nested, flat, [nested], {"instances": [flat]}):
        blocks = decode(body, ODD)
        assert blocks.number.tolist() == [[0.0, 1.5]]
        assert blocks.text.tolist() == [["5", "true", "1", "a b"]]
        assert blocks.time.tolist() == [[1_000_000, MISSING_TIME]]


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (
            {**ROW, "amount": "n/a"},
            "amount",
            "Column 'amount' was number in training; row 1 holds 'n/a'. Send a number or null.",
        ),
        (
            {**ROW, "town": ["Ulm"]},
            "town",
            "Column 'town' was category in training; row 1 holds ['Ulm']. Send a string or null.",
        ),
        (
            {**ROW, "seen": "yesterday"},
            "seen",
            "Column 'seen' was time in training; row 1 holds 'yesterday'. "
            "Send a date or time such as 2024-05-01 or 2024-05-01T13:30:00Z, or null.",
        ),
        (
            {name: ROW[name] for name in ("town", "visits", "seen")},
            "amount",
            "Row 1 lacks column 'amount'. Send it, or null if it is unknown.",
        ),
        (
            {**ROW, "amuont": 1},
            "amuont",
            "Row 1 has a column 'amuont' that the model does not know. It takes 'amount', 'town', 'visits', 'seen'.",
        ),
    ],
)
def test_a_wrong_row_is_named_with_its_column(row: dict[str, Any], column: str, message: str) -> None:
    """Place, value received and remedy; the row counts from 0."""
    with pytest.raises(RowError) as caught:
        decode([ROW, row])
    assert (str(caught.value), caught.value.row, caught.value.column) == (message, 1, column)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "9" * 5000])
@pytest.mark.parametrize("shape", ["%s", "[%s]", '{"instances":[%s]}'])
def test_a_number_beyond_float64_is_named(number: str, shape: str) -> None:
    """JSON may hold numbers that no float64 can."""
    with pytest.raises(RowError, match="amount") as caught:
        decode((shape % json.dumps({**ROW, "amount": 0}).replace("0,", number + ",", 1)).encode())
    assert (caught.value.row, caught.value.column) == (0, "amount")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty"),
        (b" \n", "The body is empty"),
        (b"[]", "The body has no rows"),
        (b'{"instances": []}', "The body has no rows"),
        (b'{"instances": [{}], "x": 1}', "has 'x' beside 'instances'"),
        (b'{"instances": {}}', "The body is an object"),
        (b"null", "The body is null"),
        (b"7", "The body is a number"),
        (b'"row"', "The body is a string"),
        (b'{"amount": NAN}', r"no JSON: JSON is malformed: invalid character \(byte 11\)"),
        (b'{"amount": NaN', r"no JSON: JSON is malformed: invalid character \(byte 11\)"),
        (b'{"amount": 1', r"Input data was truncated \(byte 12\)"),
        (b'{"town": "\\ud800\\ud800"}', "surrogate"),
        (b'{"town": "\xff"}', r"no UTF-8: invalid start byte \(byte 10\)"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_holds_no_rows_is_refused(body: bytes, message: str) -> None:
    """What is wrong, and at which byte."""
    with pytest.raises(BodyError, match=message):
        decode(body)


def test_nan_and_infinity_are_read_as_python_writes_them() -> None:
    """They are no JSON, and what `json.dumps` and pandas send."""
    blocks = decode([ROW, {**ROW, "amount": float("nan")}, {**ROW, "amount": float("-inf")}])
    np.testing.assert_array_equal(blocks.number[1:, 0], [np.nan, -np.inf])


def test_a_row_that_is_no_object_is_named() -> None:
    """Rows without names of columns are not guessed at."""
    with pytest.raises(RowError, match="Row 1 has 2 values; the model takes 4 columns"):
        decode([ROW, [4.0, "Ulm"]])


def test_the_last_of_duplicate_keys_counts() -> None:
    """As in Python's and JavaScript's own JSON readers."""
    body = json.dumps(ROW).encode().replace(b'"amount": 4.0', b'"amount": 1, "amount": 4.0')
    assert same(decode(body), decode(ROW))


def test_text_may_hold_any_character() -> None:
    """NUL, astral and unassigned characters reach the model as they are."""
    text = 'a\0b "\\\n \U0001f600 \uffff'
    assert decode({**ROW, "town": text}).text[0, 0] == text


@pytest.mark.parametrize("name", ['say "hi"', "back\\slash", "tab\t", "instances", "c0", "größe", "a.b[0]", ""])
def test_columns_may_have_any_name(name: str) -> None:
    """Quotes, dots and our own words are names like others."""
    signature = Signature("regression", "y", (Column(name, "number", "Float64"), Column("c1", "text", "String")))
    assert decode([{name: 1.5, "c1": None}], signature).number.tolist() == [[1.5]]
    assert decode({name: 1.5, "c1": None, "y": 0}, signature).number.tolist() == [[1.5]]
    with pytest.raises(RowError) as caught:
        decode({name: "x", "c1": None}, signature)
    assert caught.value.column == name


def test_a_model_without_some_kinds_of_columns_has_blocks_of_width_zero() -> None:
    """Blocks keep their number of rows."""
    signature = Signature("regression", "y", (Column("s", "text", "String"),), (Dropped("id", "constant"),))
    blocks = decode([{"s": "a"}, {"s": "b", "id": 1}], signature)
    assert [block.shape for block in blocks] == [(2, 0), (2, 1), (2, 0)]


def test_rows_of_the_portable_model_are_decoded() -> None:
    """The rows that other tests use."""
    assert same(decode(list(ROWS)), blocks_of_rows(CLASSIFIER, ROWS))

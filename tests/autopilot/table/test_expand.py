"""Structs and lists become plain columns, or are dropped with a reason; the same in training and in prediction."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot.table.expand import MAX_WIDTH, expand
from autopilot.table.infer import infer
from storage import DataError
from storage.signature import Dropped
from tests.refusals import raises

N = 40
ADDRESSES = [{"zip": f"{row % 3:05}", "city": {"name": f"city {row % 5}"}, "floor": row % 7} for row in range(N)]
Y = ["a", "b"] * (N // 2)


def test_a_struct_gives_a_column_for_each_field() -> None:
    """Also for structs inside it; a missing struct is missing in each."""
    found = expand(
        pl.DataFrame({"x": [0.5, 1.5], "home": [{"zip": "1", "at": {"lat": 2.5}}, None], "y": Y[:2]}), plain=()
    )
    assert found.frame.to_dict(as_series=False) == {
        "x": [0.5, 1.5],
        "home.zip": ["1", None],
        "home.at.lat": [2.5, None],
        "y": ["a", "b"],
    }
    assert found.paths == {"home.zip": ("home", "zip"), "home.at.lat": ("home", "at", "lat")}
    (finding,) = found.findings
    assert finding.message == "'home' is a struct; it is read as 2 columns, 'home.zip', 'home.at.lat'."


@pytest.mark.parametrize("dtype", [pl.List(pl.Float64), pl.Array(pl.Float64, 3)])
def test_a_list_of_numbers_that_is_always_as_long_gives_a_column_for_each_place(dtype: Any) -> None:
    """Lists and arrays; a missing list is missing in each place."""
    found = expand(pl.DataFrame({"emb": pl.Series([[1, 2, 3], None, [4, None, 6]], dtype=dtype)}), plain=())
    assert found.frame.to_dict(as_series=False) == {
        "emb[0]": [1.0, None, 4.0],
        "emb[1]": [2.0, None, None],
        "emb[2]": [3.0, None, 6.0],
    }
    assert found.paths["emb[2]"] == ("emb", 2)


def test_lists_in_lists_and_in_structs_are_taken_apart_too() -> None:
    """A matrix of equal rows, a vector beside a word."""
    cell = {"box": [[1, 2], [3, 4]], "word": "a"}
    assert expand(pl.DataFrame({"x": [cell]}), plain=()).frame.row(0, named=True) == {
        "x.box[0][0]": 1,
        "x.box[0][1]": 2,
        "x.box[1][0]": 3,
        "x.box[1][1]": 4,
        "x.word": "a",
    }


def test_lists_of_strings_are_one_text() -> None:
    """Whatever their lengths; the model reads their words."""
    tags = [["late", None, "red"], [], None, ["red"]] * 10
    table = infer(pl.DataFrame({"tags": tags, "x": [row / 7 for row in range(N)], "y": Y}), "y")
    assert [(column.name, column.kind, column.dtype) for column in table.signature.columns] == [
        ("tags", "text", "List(String)"),
        ("x", "number", "Float64"),
    ]
    assert table.frame.get_column("tags").head(4).to_list() == ["late red", None, None, "red"]
    assert table.findings[1].message == "'tags' holds lists of words; they are read as one text."


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (
            [[1], [1, 2], None],
            "holds lists of 1 to 2 values, so that no place means the same in each row: make columns of them, such as "
            "their mean and their number",
        ),
        (
            [[0.5] * (MAX_WIDTH + 1)] * 3,
            "holds lists of 257 values, where 256 are the most: reduce them, for example to principal components",
        ),
        (
            [[[1] * 20] * 20] * 3,
            "holds lists of 20 values, where 256 are the most: reduce them, for example to principal components",
        ),
        (
            [[{"a": 1}], []],
            "is of type List(Struct({'a': Int64})), which no model here takes: make columns of what matters in it",
        ),
        ([b"a", b"b"], "is of type Binary, which no model here takes"),
        (pl.Series([None, None], dtype=pl.List(pl.Int64)), "holds only nulls"),
    ],
    ids=["ragged", "wide", "wide matrix", "structs", "bytes", "nulls"],
)
def test_what_has_no_obvious_columns_is_dropped_with_a_reason_and_a_remedy(cells: Any, reason: str) -> None:
    """It is named, and the rest of the table is used."""
    found = expand(pl.DataFrame({"x": cells}), plain=())
    assert {drop.reason for drop in found.dropped} == {reason}
    assert found.frame.columns == []


def test_parts_are_judged_like_columns() -> None:
    """Kinds, drops, and what the user says of them by their flat names."""
    frame = pl.DataFrame({"home": ADDRESSES, "x": [row / 7 for row in range(N)], "y": Y})
    signature = infer(frame, "y", columns={"home.floor": "category"}, ignore=["home.city.name"]).signature
    assert [(column.name, column.kind, column.path) for column in signature.columns] == [
        ("home.zip", "category", ("home", "zip")),
        ("home.floor", "category", ("home", "floor")),
        ("x", "number", ()),
    ]
    assert signature.dropped == (Dropped("home.city.name", "was ignored as asked", ("home", "city", "name")),)
    assert infer(frame, "y", ignore=["home"]).signature.dropped == (Dropped("home", "was ignored as asked"),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"home": "text"}}, "Column 'home' cannot be 'text': it is taken apart. Say what its parts are: "),
        ({"columns": {"odd": "number"}}, "Column 'odd' cannot be 'number': it holds lists of 0 to 1 values, so that"),
        ({"columns": {"home.street": "text"}}, "The data has no column 'home.street'. Its columns are 'home', 'odd', "),
    ],
)
def test_a_kind_for_a_whole_struct_or_list_is_refused(options: dict[str, Any], message: str) -> None:
    """Its parts have kinds."""
    frame = pl.DataFrame({"home": ADDRESSES, "odd": [[1] * (row % 2) for row in range(N)], "y": Y})
    with raises(DataError, message):
        infer(frame, "y", **options)


def test_a_part_with_the_name_of_a_column_is_refused() -> None:
    """Both would be one input of the graph."""
    frame = pl.DataFrame({"home": ADDRESSES, "home.zip": "1", "y": Y})
    with raises(DataError, "A part of column 'home' is 'home.zip', and the table has another column of that name."):
        infer(frame, "y")


CELLS = st.none() | st.integers(-3, 3) | st.text(max_size=2) | st.booleans()
TREES = st.recursive(CELLS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner))


@given(cells=st.lists(TREES, min_size=1, max_size=4))
def test_any_nesting_is_taken_apart_or_dropped(cells: list[Any]) -> None:
    """Every column that is left is plain, and each part is named once."""
    try:
        frame = pl.DataFrame({"x": cells}, strict=False)
    except (pl.exceptions.PolarsError, TypeError):
        return
    found = expand(frame, plain=())
    assert not any(dtype in (pl.Struct, pl.Array) for dtype in found.frame.dtypes)
    names = [*found.frame.columns, *(drop.name for drop in found.dropped)]
    assert len(names) == len(set(names))
    assert found.frame.width == 0 or found.frame.height == frame.height

"""Facets as schedules name them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Column, SettingError, Signature
from storage.facets import NamedFacet, parse_facet


def model(*columns: tuple[str, str]) -> Signature:
    """A binary model of columns and their kinds."""
    return Signature("binary", "paid", tuple(Column(name, kind, "String") for name, kind in columns))  # type: ignore[arg-type]


PEOPLE = model(("sex", "category"), ("age", "number"), ("a=b", "category"), ("a", "category"), ("sex>1", "number"))


@pytest.mark.parametrize(
    ("text", "facet"),
    [
        ("sex=female", NamedFacet("sex", "female")),
        ("sex=a=b>c", NamedFacet("sex", "a=b>c")),
        ("sex=", NamedFacet("sex", "")),
        ("sex", NamedFacet("sex")),
        ("age>40", NamedFacet("age", threshold=40.0)),
        ("age>-1.5e2", NamedFacet("age", threshold=-150.0)),
        ("age=40", NamedFacet("age", "40")),
        ("a=b", NamedFacet("a=b")),
        ("a=b=c", NamedFacet("a=b", "c")),
        ("a=c", NamedFacet("a", "c")),
        ("sex>1>2", NamedFacet("sex>1", threshold=2.0)),
    ],
)
def test_a_facet_is_a_value_a_threshold_or_each_level(text: str, facet: NamedFacet) -> None:
    """Of the column with the longest name that it can be."""
    assert parse_facet(text, PEOPLE) == facet


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("town=Ulm", "The facet 'town=Ulm' is of no column that the model takes. Write sex=female,"),
        ("", "The facet '' is of no column"),
        ("female", "with one of 'sex', 'age', 'a=b', 'a', 'sex>1'."),
        ("sex>2", "asks for numbers above '2' in column 'sex', a category."),
        ("age>old", "asks for numbers above 'old' in column 'age', a number."),
        ("age>nan", "Write a number after >"),
        ("age>", "Write a number after >"),
    ],
)
def test_what_is_no_facet_is_refused(text: str, message: str) -> None:
    """With what was received, and what would be right."""
    with pytest.raises(SettingError) as refused:
        parse_facet(text, PEOPLE)
    assert message in str(refused.value)


@given(st.text(min_size=1), st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_any_column_and_value_is_read_back(column: str, value: str, threshold: float) -> None:
    """Whatever signs they hold."""
    signature = model((column, "number"))
    assert parse_facet(f"{column}={value}", signature) == NamedFacet(column, value)
    assert parse_facet(f"{column}>{threshold!r}", signature) == NamedFacet(column, threshold=threshold)

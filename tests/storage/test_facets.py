"""Facets as schedules name them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from storage import Column, SettingError, Signature
from storage.facets import NamedFacet, fairness_columns, parse_facet
from storage.records import Card, ModelVersion
from tests import portable
from tests.records import NOW
from tests.refusals import raises


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


def fitted(*fairness: str) -> ModelVersion:
    """`paid:3`, which takes amount, town, visits and the time seen, fitted with `fairness=`."""
    card = replace(portable.card("binary"), fairness=fairness)
    return ModelVersion("paid", 3, "r1", "0" * 64, 1, "1" * 64, portable.CLASSIFIER, card, NOW)


def test_facets_are_of_the_columns_that_the_model_was_fitted_with_and_takes() -> None:
    """An ignored column is not in traffic, and times have no groups."""
    assert fairness_columns(fitted("town", "id", "seen", "amount")) == ("town", "amount")


@pytest.mark.parametrize(
    ("fairness", "message"),
    [
        ((), "No facet was named, and paid:3 was fitted without fairness=. Name one, such as sex=female,"),
        (("id", "seen"), "No facet was named, and paid:3 compared the groups of 'id', 'seen' when it was fitted,"),
    ],
)
def test_without_such_a_column_one_has_to_be_named(fairness: tuple[str, ...], message: str) -> None:
    """The columns to choose from are told."""
    with raises(SettingError, message):
        fairness_columns(fitted(*fairness))


def test_a_card_of_an_older_program_knows_no_such_column() -> None:
    """It is read all the same."""
    older = msgspec.to_builtins(portable.card("binary"))
    del older["fairness"]
    assert msgspec.convert(older, Card).fairness == ()

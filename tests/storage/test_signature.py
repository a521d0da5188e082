"""The signature tells a model's inputs and outputs in the words of its table."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from storage import Column, Signature
from storage.signature import Dropped

COLUMNS = (
    Column("age", "number", "Int64"),
    Column("town", "category", "String"),
    Column("seen", "time", "Date"),
    Column("note", "text", "String"),
    Column("fare", "number", "Float64"),
)
SIGNATURE = Signature("binary", "paid", COLUMNS, (Dropped("id", "counts the rows"),), ("no", "yes"))


def test_blocks_hold_the_columns_of_like_type_in_the_tables_order() -> None:
    """Categories and prose are both text."""
    assert SIGNATURE.block("number") == ("age", "fare")
    assert SIGNATURE.block("text") == ("town", "note")
    assert SIGNATURE.block("time") == ("seen",)


def test_columns_are_found_by_their_kinds() -> None:
    """One kind or several, in the table's order."""
    assert SIGNATURE.names == ("age", "town", "seen", "note", "fare")
    assert SIGNATURE.of_kind("category") == ("town",)
    assert SIGNATURE.of_kind("text", "number") == ("age", "note", "fare")


def test_a_row_may_carry_the_target_and_what_was_dropped() -> None:
    """So that a row of the training table can be sent as it is."""
    assert SIGNATURE.ignorable == {"paid", "id"}


def test_paths_of_parts_are_those_of_taken_and_of_dropped_columns() -> None:
    """So that a list's length is known though a part of it was constant."""
    parts = (Column("home.zip", "category", "String", path=("home", "zip")), Column("x", "number", "Float64"))
    signature = Signature(
        "regression", "y", parts, (Dropped("emb[1]", "constant", ("emb", 1)), Dropped("id", "counts"))
    )
    assert signature.nested == (("home", "zip"), ("emb", 1))


def test_a_signature_of_an_older_version_has_no_formats_and_paths() -> None:
    """What is not there has its default."""
    old = b'{"task":"regression","target":"y","columns":[{"name":"x","kind":"time","dtype":"Date"}]}'
    assert msgspec.json.decode(old, type=Signature) == Signature("regression", "y", (Column("x", "time", "Date"),))


def test_outputs_are_a_label_and_a_probability_for_each_class_or_a_prediction() -> None:
    """As the columns of `Predictor.predict`."""
    assert SIGNATURE.outputs == ("label", "p_no", "p_yes")
    assert Signature("multiclass", "n", COLUMNS, classes=(1, 2, 3)).outputs == ("label", "p_1", "p_2", "p_3")
    assert Signature("regression", "price", COLUMNS).outputs == ("prediction",)


NAMES = st.text(max_size=20).filter(lambda name: not any(0xD800 <= ord(c) < 0xE000 for c in name))
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
PATHS = st.lists(NAMES | st.integers(0, 9), max_size=3).map(tuple)
ANY_COLUMN = st.builds(
    Column,
    NAMES,
    st.sampled_from(["number", "category", "text", "time"]),
    NAMES,
    st.booleans(),
    NUMBERS,
    NUMBERS,
    st.lists(NAMES, max_size=3).map(tuple),
    st.none() | NAMES,
    PATHS,
)
ANY_SIGNATURE = st.builds(
    Signature,
    st.sampled_from(["binary", "multiclass", "regression"]),
    NAMES,
    st.lists(ANY_COLUMN, max_size=4).map(tuple),
    st.lists(st.builds(Dropped, NAMES, NAMES, PATHS), max_size=3).map(tuple),
    st.lists(NAMES, max_size=3).map(tuple) | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3).map(tuple),
)


@given(signature=ANY_SIGNATURE)
def test_a_signature_survives_the_metadata_of_a_file(signature: Signature) -> None:
    """Written as JSON and read again it is equal, whole-number classes stay numbers."""
    assert msgspec.json.decode(msgspec.json.encode(signature), type=Signature) == signature

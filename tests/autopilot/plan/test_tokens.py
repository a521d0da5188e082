"""Words of texts: counted once, numbered alike in training and in the graph."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.tokens import Tokens, count_matrix, emit_sums, on_grid, packed, sums, unpacked, word_of
from tests.graphs import run
from tests.strategies import prose, raw_frame, signature_of

TEXT = signature_of(("text",))
OTHERS = ("other word", "other word with a digit", "other word with five digits in a row")


def frame_of(*texts: str | None) -> pl.DataFrame:
    """A typed frame of one column."""
    return raw_frame(("text",), [(text,) for text in texts])


def fitted(*texts: str | None) -> Tokens:
    """The tokens of these texts."""
    return Tokens.fit(frame_of(*texts), ("c0",))


def counted(tokens: Tokens, *texts: str | None) -> list[dict[str, float]]:
    """How often each text holds each word, of those that it holds, in training; the graph has to agree."""
    frame, words = frame_of(*texts), tokens.words("c0")
    counts = count_matrix(frame.with_columns(tokens.polars()), "c0", len(words)).toarray()
    numbers = run(TEXT, lambda g: tokens.emit(g, "c0"), frame, TensorProto.INT64)
    assert [np.bincount(row, minlength=len(words) + 1)[:-1].tolist() for row in numbers] == counts.tolist()
    return [{word: count for word, count in zip(words, row, strict=True) if count} for row in counts]


def test_tokens_are_ordered_by_the_number_of_texts_then_by_name() -> None:
    """However often one text holds them; what only one text holds is not known."""
    tokens = fitted("b a once once", "b b a", "b late", "late")
    assert tokens == Tokens(("c0",), (("b", "a", "late"),))
    assert tokens.words("c0") == ("b", "a", "late", *OTHERS)


def test_a_column_without_a_known_token_is_left_out() -> None:
    """Missing and empty texts have none either."""
    assert fitted("a", "b", None, "", "", " ", " ") == Tokens()


def test_at_most_twenty_thousand_tokens_are_known() -> None:
    """The most frequent."""
    frame = pl.DataFrame({"c0": ["usual", " ".join(f"w{i:05}" for i in range(999))] * 30 + [
        " ".join(f"v{part:02}{i:03}" for i in range(999)) for part in range(20) for _ in range(2)
    ]})  # fmt: skip
    tokens = Tokens.fit(frame, ("c0",))
    assert len(tokens.names[0]) == 20_000
    assert tokens.names[0][:2] == ("usual", "w00000")
    assert "v19998" not in tokens.names[0]


def test_case_and_punctuation_at_the_ends_do_not_tell_words_apart() -> None:
    """Small letters, capitals, and a capital first. What is only punctuation is a word of its own."""
    tokens = fitted("Late, (late) LATE :)", "late, (LATE) late :)", "Ä ä", "ä Ä")
    assert tokens.words("c0") == ("late", ":)", "ä", *OTHERS)
    assert counted(tokens, "LATE, (Late) late", ":) Ä ä", "lATE") == [{"late": 3}, {":)": 1, "ä": 2}, {"other word": 1}]


def test_a_word_is_known_with_a_mark_behind_it_that_it_was_never_seen_with() -> None:
    """And bare; in brackets only if it was seen so."""
    tokens = fitted("(late) :)", "(late) :)")
    assert counted(tokens, "late late. late, late! LATE?", "late; [late] late!!", ":).") == [
        {"late": 5},
        {"other word": 3},
        {"other word": 1},
    ]


def test_unknown_tokens_are_told_apart_by_their_digits() -> None:
    """None, some, five in a row; punctuation may stand between others."""
    tokens = fitted("late", "late")
    found = counted(tokens, "so be it", "b4 1-2-3-4-5 1234", "12345 08712300220", "late \U0001f600", "tel:08712300220.")
    assert found == [
        {"other word": 3},
        {"other word with a digit": 3},
        {"other word with five digits in a row": 2},
        {"late": 1, "other word": 1},
        {"other word with five digits in a row": 1},
    ]


def test_only_a_space_stands_between_tokens_and_several_are_as_one() -> None:
    """Tabs and newlines belong to a token; digits behind them count."""
    tokens = fitted("a\tb  late", "late   a\tb", "x\n late", "x\n")
    assert tokens.names == (("late", "a\tb", "x\n"),)
    assert counted(tokens, "  late  late ", "a b", "x\n late", "u\n7", "", None, "   ") == [
        {"late": 2},
        {"other word": 2},
        {"late": 1, "x\n": 1},
        {"other word with a digit": 1},
        {},
        {},
        {},
    ]


@pytest.mark.parametrize("pieces", [999, 1000, 1001, 3000])
def test_a_text_counts_up_to_its_thousandth_piece(pieces: int) -> None:
    """An empty piece between two spaces is one too."""
    tokens = fitted("late", "late")
    assert counted(tokens, " ".join(["late"] * pieces), "late") == [{"late": min(pieces, 1000)}, {"late": 1}]
    assert counted(tokens, " " * pieces + "late") == [{"late": 1} if pieces < 1000 else {}]


@given(
    train=st.lists(prose, min_size=2, max_size=6),
    later=st.lists(
        prose
        | st.lists(st.sampled_from(["a1", "12345", "x\n12345", "1\x002345", "٣", "\uff11\uff12345", ""])).map(" ".join),
        min_size=1,
        max_size=6,
    ),
)
def test_any_text_has_the_same_words_in_training_and_in_the_graph(
    train: list[str | None], later: list[str | None]
) -> None:
    """Emoji, NUL, other scripts and their digits, and spaces alone."""
    tokens = fitted(*train, *train)
    if tokens.columns:
        counted(tokens, *train, *later)


def test_sums_over_words_are_exact_up_to_the_largest_weights() -> None:
    """A thousand words of the largest weight, in both renderings; nothing adds nothing."""
    tokens = fitted("up up down", "up down", "up")
    grid = on_grid(np.array([[1.0, 2.0], [-1.0, 0.5], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))
    assert grid.table[:2].tolist() == [[16_000, 16_000], [-16_000, 4_000]]
    assert grid.steps.tolist() == [1 / 16_000, 2 / 16_000]
    frame = frame_of(" ".join(["up"] * 1000), "down up", None)
    expected = [[16_000_000, 16_000_000], [0, 20_000], [0, 0]]
    found = run(TEXT, lambda g: emit_sums(g, grid.table, tokens.emit(g, "c0")), frame)
    expr = sums("c0", grid.table, lambda totals: totals).alias("sum")
    assert (
        frame.with_columns(tokens.polars()).select(expr).to_series().to_numpy().tolist() == found.tolist() == expected
    )


def test_a_table_is_bytes_and_back() -> None:
    """Row by row."""
    table = np.array([[1, -2], [32_767, -32_768]], dtype=np.int16)
    assert packed(table) == b"\x01\x00\xfe\xff\xff\x7f\x00\x80"
    assert unpacked(packed(table), 2).tolist() == table.tolist()


def test_words_of_tokens() -> None:
    """Inner punctuation stays."""
    assert list(map(word_of, ["it's", "'it's'", "...", "a.b.", ""])) == ["it's", "it's", "...", "a.b", ""]


def test_columns_have_their_own_words() -> None:
    """Each looks up in its own list, from one graph."""
    kinds = ("text", "text")
    frame = raw_frame(kinds, [("late paid", "paid"), ("late paid", "paid late")])
    tokens = Tokens.fit(frame, ("c0", "c1"))
    assert tokens.names == (("late", "paid"), ("paid",))

    def emit(g: Graph) -> str:
        return g.op("Concat", tokens.emit(g, "c0"), tokens.emit(g, "c1"), axis=1)

    later = raw_frame(kinds, [("paid late", "paid late"), ("late", None)])
    assert run(signature_of(kinds), emit, later, TensorProto.INT64)[:, :2].tolist() == [[1, 0], [0, 5]]

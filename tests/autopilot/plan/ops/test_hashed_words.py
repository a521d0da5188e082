"""Prose becomes counts of hashed words."""

import numpy as np
import polars as pl
import pytest

from autopilot.plan.ops import HashedWords
from autopilot.plan.ops.hashed_words import bucket_of
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

TEXT = signature_of(("text",))
LATE, PAID = 149, 56  # zlib.crc32(b"late") % 256, of b"paid"


def frame_of(*texts: str | None) -> pl.DataFrame:
    """A typed frame of one column."""
    return raw_frame(("text",), [(text,) for text in texts])


def counts(op: HashedWords | None, *texts: str | None) -> list[dict[int, float]]:
    """The counts that are not 0 for each text, by bucket."""
    return [{i: x for i, x in enumerate(row) if x} for row in both(op, TEXT, frame_of(*texts))]


def test_words_are_counted_in_the_bucket_of_their_crc() -> None:
    """CRC-32 modulo 256: late 149, paid 56."""
    op = HashedWords.fit(rows_of(TEXT, frame_of("late paid", "late", "paid late")))
    assert op == HashedWords(("c0",), (("late", "paid"),))
    assert counts(op, "late late paid", "paid", "", None, "other") == [{LATE: 2, PAID: 1}, {PAID: 1}, {}, {}, {}]


def test_case_and_punctuation_at_the_ends_do_not_tell_words_apart() -> None:
    """For ASCII letters; other letters keep their case in any locale."""
    op = HashedWords.fit(rows_of(TEXT, frame_of("Late, (late) LATE", "late, (LATE) late", "Ä ä", "ä Ä")))
    assert op is not None
    assert set(op.tokens[0]) == {"late,", "(late)", "late", "Ä", "ä"}
    assert counts(op, "LATE, (Late) late", "Ä", "ä") == [{LATE: 3}, {bucket_of("Ä"): 1}, {bucket_of("ä"): 1}]


def test_a_token_that_only_one_text_holds_is_not_known() -> None:
    """However often it holds it."""
    op = HashedWords.fit(rows_of(TEXT, frame_of("once once late", "late")))
    assert op == HashedWords(("c0",), (("late",),))


def test_tabs_newlines_and_runs_of_spaces() -> None:
    """Only a space stands between tokens, several are as one."""
    op = HashedWords.fit(rows_of(TEXT, frame_of("a\tb  late", "late   a\tb", "x\n late", "x\n")))
    assert op is not None
    assert set(op.tokens[0]) == {"a\tb", "late", "x\n"}
    assert counts(op, "  late  late ", "a b", "x late") == [{LATE: 2}, {}, {LATE: 1}]


def test_columns_have_their_own_tokens_and_buckets() -> None:
    """Beside each other."""
    kinds = ("text", "text")
    op = HashedWords.fit(rows_of(signature_of(("text",) * 2), raw_frame(kinds, [("late", "paid")] * 2)))
    assert op is not None
    found = np.array(both(op, signature_of(kinds), raw_frame(kinds, [("late paid", "late paid paid")])))
    assert found.shape == (1, 512)
    assert {int(i): found[0, i] for i in np.flatnonzero(found)} == {LATE: 1, 256 + PAID: 2}
    assert op.names()[LATE] == f"words of c0, bucket {LATE}"


@pytest.mark.parametrize("texts", [("a", "b"), ("", None), ("-- ,", "-- ,")])
def test_without_a_repeated_word_there_is_no_op(texts: tuple[str, str]) -> None:
    """Punctuation alone is no word."""
    assert HashedWords.fit(rows_of(TEXT, frame_of(*texts))) is None

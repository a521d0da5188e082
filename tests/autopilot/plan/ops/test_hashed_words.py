"""Prose becomes counts of hashed words."""

import numpy as np
import polars as pl

from autopilot.plan.ops import HashedWords
from autopilot.plan.ops.hashed_words import bucket_of
from autopilot.plan.tokens import Tokens
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

TEXT = signature_of(("text",))
LATE, PAID = 149, 56  # zlib.crc32(b"late") % 256, of b"paid"
OTHER, DIGIT, DIGITS = map(bucket_of, ("other word", "other word with a digit", "other word with five digits in a row"))


def frame_of(*texts: str | None) -> pl.DataFrame:
    """A typed frame of one column."""
    return raw_frame(("text",), [(text,) for text in texts])


def test_words_are_counted_in_the_bucket_of_their_crc() -> None:
    """CRC-32 modulo 256: late 149, paid 56; unknown words have buckets by their digits."""
    train = frame_of("late paid", "late", "paid late")
    op = HashedWords.fit(rows_of(TEXT, train))
    assert op == HashedWords(("c0",), ((LATE, PAID, OTHER, DIGIT, DIGITS),))
    later = frame_of("late LATE paid", "paid", "", None, "other", "x1 12345")
    found = both(op, TEXT, later, tokens=Tokens.fit(train, ("c0",)))
    assert [{i: x for i, x in enumerate(row) if x} for row in found] == [
        {LATE: 2, PAID: 1},
        {PAID: 1},
        {},
        {},
        {OTHER: 1},
        {DIGIT: 1, DIGITS: 1},
    ]


def test_columns_have_their_own_words_and_buckets() -> None:
    """Beside each other."""
    signature, train = signature_of(("text", "text")), raw_frame(("text", "text"), [("late", "paid")] * 2)
    op = HashedWords.fit(rows_of(signature, train))
    assert op is not None
    later = raw_frame(("text", "text"), [("late", "paid paid")])
    found = np.array(both(op, signature, later, tokens=Tokens.fit(train, ("c0", "c1"))))
    assert found.shape == (1, 512)
    assert {int(i): found[0, i] for i in np.flatnonzero(found)} == {LATE: 1, 256 + PAID: 2}
    assert op.names()[LATE] == f"words of c0, bucket {LATE}"


def test_without_a_repeated_word_there_is_no_op() -> None:
    """Nothing would be known."""
    assert HashedWords.fit(rows_of(TEXT, frame_of("a", "b"))) is None

"""Prose becomes counts of the parts of words that go best with the target."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from scipy.stats import chi2_contingency

from autopilot.plan.op import Target
from autopilot.plan.ops import CharacterNgrams
from autopilot.plan.ops.character_ngrams import ngrams_of
from tests.graphs import both, rows_of
from tests.strategies import prose, raw_frame, signature_of

TEXT = signature_of(("text",))


def test_ngrams_are_counted_without_overlap_as_they_are_written() -> None:
    """As Python's own `count` does; a word's end is a space, also at the end of the text."""
    op = CharacterNgrams(("c0",), (("aaa", "ate ", " la", "été"),))
    assert op.names() == ("'aaa' in c0", "'ate ' in c0", "' la' in c0", "'été' in c0")
    frame = raw_frame(("text",), [("aaaaaaa AAA",), ("Late, late",), ("relate",), ("été ÉTÉ",), ("",), (None,)])
    assert both(op, TEXT, frame) == [
        [2, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]


@given(text=prose)
def test_counts_agree_with_pythons_own(text: str | None) -> None:
    """On any text, the n-grams cut out of it."""
    padded = " " + (text or "") + " "
    ngrams = tuple(sorted({padded[i : i + 3] for i in range(0, len(padded) - 2, 2)}))
    if ngrams:
        found = both(CharacterNgrams(("c0",), (ngrams,)), TEXT, raw_frame(("text",), [(text,)]))
        assert found == [[padded.count(ngram) for ngram in ngrams]]


def test_the_part_that_goes_best_with_the_target_comes_first() -> None:
    """Ranked as Pearson's chi-squared test does, by SciPy; what goes along with a better one is left out."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400).astype(np.float64)
    words = [["calling" if rng.random() < 0.2 + 0.6 * cls else "asleep", "today"] for cls in y]
    texts = [" ".join([*pair, "unrelated" if rng.random() < 0.5 else "words"]) for pair in words]
    op = CharacterNgrams.fit(rows_of(TEXT, pl.DataFrame({"c0": texts}), Target(y, 2)))
    assert op is not None
    counts = np.array(both(op, TEXT, pl.DataFrame({"c0": texts}))) > 0
    tables = [[[np.sum((y == cls) & (column == has)) for has in (0, 1)] for cls in (0, 1)] for column in counts.T]
    scores = [chi2_contingency(table, correction=False).statistic for table in tables]
    assert scores == sorted(scores, reverse=True)
    assert op.ngrams[0][0] in " calling " or op.ngrams[0][0] in " asleep "
    assert len(op.ngrams[0]) == 2  # one for each of the two choices; " today" is everywhere
    assert np.abs(np.corrcoef(counts.T)[0, 1]) < 0.7


def test_values_and_classes_rank_too() -> None:
    """By correlation with the value, or with the best of the classes."""
    texts = pl.DataFrame({"c0": ["dear sir", "cheap item", "other thing"] * 20})
    value = CharacterNgrams.fit(rows_of(TEXT, texts, Target(np.array([9.0, 0.0, 1.0] * 20), 1)))
    classes = CharacterNgrams.fit(rows_of(TEXT, texts, Target(np.array([0.0, 1.0, 2.0] * 20), 3)))
    assert value is not None
    assert classes is not None
    assert value.ngrams[0][0] in " dear sir "
    assert len(classes.ngrams[0]) == 3
    assert CharacterNgrams.fit(rows_of(TEXT, texts, Target(np.arange(60.0) % 13, 13))) is None


def test_a_part_that_fewer_than_five_texts_hold_is_none() -> None:
    """Nor is one that all hold."""
    train = pl.DataFrame({"c0": ["same"] * 36 + ["same rare"] * 4})
    assert CharacterNgrams.fit(rows_of(TEXT, train, Target(np.array([0.0] * 36 + [1.0] * 4), 2))) is None


def test_columns_share_the_number_of_ngrams() -> None:
    """At most 32 in all, and only those that are needed after narrowing."""
    rng = np.random.default_rng(0)
    kinds = ("text", "text")
    words = [[f"{chr(97 + i)}{chr(97 + j)}x" for i in range(5) for j in range(20)] for _ in kinds]
    train = pl.DataFrame({f"c{i}": [" ".join(rng.choice(words[i], 8)) for _ in range(300)] for i in range(2)})
    op = CharacterNgrams.fit(rows_of(signature_of(kinds), train, Target(rng.normal(size=300), 1)))
    assert op is not None
    assert [len(ngrams) for ngrams in op.ngrams] == [16, 16]
    assert op.narrowed([20]) == CharacterNgrams(("c1",), ((op.ngrams[1][4],),))


@pytest.mark.parametrize(("token", "count"), [("a", 1), ("abc", 6), ("x" * 500, 9)])
def test_ngrams_of_a_token_are_of_three_to_five_characters(token: str, count: int) -> None:
    """With the space before and behind it; of very long tokens the beginning counts."""
    found = ngrams_of(token)
    assert len(found) == count
    assert {len(ngram) for ngram in found} <= {3, 4, 5}

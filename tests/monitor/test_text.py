"""The test of words: false alarms, what it finds, and what a row is."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from monitor.text import BUCKETS, words

VOCABULARY = np.array([f"word{number}" for number in range(3000)], dtype=object)
SHARES = 1 / np.arange(1, 3001)
SHARES /= SHARES.sum()


def texts(rng: np.random.Generator, rows: int, first: int = 0) -> pl.Series:
    """Rows of 3 to 14 words by Zipf's law, of the vocabulary from its `first` word on."""
    lengths = rng.integers(3, 15, rows)
    drawn = np.split(VOCABULARY[(first + rng.choice(3000, lengths.sum(), p=SHARES)) % 3000], np.cumsum(lengths)[:-1])
    return pl.Series([" ".join(row) for row in drawn])


@pytest.mark.parametrize("rows", [40, 400])
def test_no_more_false_alarms_than_stated(rows: int) -> None:
    """Of 200 windows without drift at 5%: at most 20, the upper end of a binomial's 99.9% interval."""
    rng = np.random.default_rng(rows)
    alarms = sum(words(texts(rng, 800), texts(rng, rows)).outcome.p_value <= 0.05 for _ in range(200))
    assert alarms <= 20


def test_a_topic_in_three_of_a_hundred_rows_is_found() -> None:
    """Its words are new, and the p-value is below what a column of forty gets of 5%."""
    rng = np.random.default_rng(0)
    current = pl.concat([texts(rng, 970), pl.Series(["urgent recall of batteries"] * 30)]).shuffle(1)
    outcome = words(texts(rng, 5000), current).outcome
    assert outcome.p_value < 0.05 / 40
    assert outcome.effect == pytest.approx(0.03, abs=0.01)


def test_another_language_is_found() -> None:
    """Nearly no word is shared."""
    rng = np.random.default_rng(0)
    outcome = words(texts(rng, 500), texts(rng, 60, first=1500)).outcome
    assert outcome.p_value < 1e-9
    assert outcome.effect > 0.5


def test_a_single_word_is_compared_by_fishers_test() -> None:
    """Half of the rows say "no", and of those now 12 of 20 do: one bucket, so that the p-value is the exact one's."""
    before, after = pl.Series(["no"] * 50 + [""] * 50).shuffle(0), pl.Series(["No!"] * 12 + ["?"] * 8).shuffle(0)
    outcome = words(before, after).outcome
    assert outcome.p_value == pytest.approx(stats.fisher_exact([[50, 12], [50, 8]]).pvalue)
    assert outcome.effect == pytest.approx(0.1)


@given(st.integers(2, 30), st.integers(0, 100))
@settings(deadline=None, max_examples=15)
def test_what_a_row_says_twice_it_says_once(times: int, seed: int) -> None:
    """Rows are the unit: repeating their words, in capitals too, changes nothing."""
    rng = np.random.default_rng(seed)
    before, after = texts(rng, 300), texts(rng, 100)
    repeated = pl.Series([" ".join([row.upper()] * times) for row in after])
    assert words(before, after).outcome == words(before, repeated).outcome


def test_rows_that_come_in_threads_count_for_less() -> None:
    """A hundred messages of one thread each: the same words in neighbouring rows are no new evidence."""
    rng = np.random.default_rng(5)
    threads = [np.repeat(texts(rng, count).to_numpy(), 50) for count in (80, 20)]
    before, after = (pl.Series(each) for each in threads)
    found = words(before, after)
    assert found.worth
    assert found.worth.current < 200
    assert found.outcome.p_value > words(before.shuffle(1), after.shuffle(1)).outcome.p_value


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ([], ["a b"]),
        (["a b"], []),
        ([None], [None]),
        ([""] * 50, ["..."] * 50),
        (["same words"] * 50, ["same words"] * 50),
    ],
)
def test_where_nothing_can_be_told_sides_count_as_alike(reference: list, current: list) -> None:
    """No rows, no words, or the same words in every row."""
    outcome = words(pl.Series(reference, dtype=pl.String), pl.Series(current, dtype=pl.String)).outcome
    assert (outcome.p_value, outcome.effect) == (1.0, 0.0)


def test_a_large_table_is_looked_at_in_evenly_spaced_rows() -> None:
    """A reference in any order is seen whole: here its first half has other words than its second."""
    rng = np.random.default_rng(0)
    halves = [texts(rng, 200).to_list() * 100, texts(rng, 200, first=1500).to_list() * 100]
    before = pl.Series(halves[0] + halves[1])
    assert words(before, before.sample(2000, seed=0)).outcome.effect < 0.05
    assert len(VOCABULARY) > BUCKETS

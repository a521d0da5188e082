"""Prose becomes the components of its weighted words."""

import numpy as np
import polars as pl
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from autopilot.plan.ops import TfidfComponents
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

TEXT = signature_of(("text",))
TOPICS = ("sun beach sea sand swim", "bank loan rate money pay", "code bug test merge build")


def texts_of(rows: int, seed: int) -> pl.DataFrame:
    """Texts of three topics with some words of others."""
    rng = np.random.default_rng(seed)
    words = [topic.split() for topic in TOPICS]
    mixed = [word for topic in words for word in topic]
    return pl.DataFrame(
        {"c0": [" ".join([*rng.choice(words[i % 3], 5), *rng.choice(mixed, i % 4)]) for i in range(rows)]}
    )


def test_components_are_those_of_scikit_learn_up_to_sign_and_scale() -> None:
    """TfidfVectorizer without a norm, then TruncatedSVD by ARPACK; the grid costs four digits."""
    train, later = texts_of(600, 0), texts_of(100, 1)
    rows = rows_of(TEXT, train)
    op = TfidfComponents.fit(rows)
    assert op is not None
    found = np.array(both(op, TEXT, later, tokens=rows.tokens))
    weigh = TfidfVectorizer(norm=None).fit(train["c0"])
    svd = TruncatedSVD(6, algorithm="arpack", random_state=0).fit(weigh.transform(train["c0"]))
    scale = svd.transform(weigh.transform(train["c0"])).std(axis=0)
    expected = svd.transform(weigh.transform(later["c0"])) / scale
    for index in range(6):
        error = min(np.abs(found[:, index] - sign * expected[:, index]).max() for sign in (1, -1))
        assert error < 0.02


def test_components_have_deviation_one_in_training() -> None:
    """At most 32, and no more than there are words."""
    train = texts_of(600, 0)
    rows = rows_of(TEXT, train)
    op = TfidfComponents.fit(rows)
    assert op is not None
    assert op.names() == tuple(f"component {index} of c0" for index in range(15))
    found = np.array(both(op, TEXT, train, tokens=rows.tokens))
    assert np.abs(found.std(axis=0) - 1).max() < 1e-3


def test_a_missing_text_has_zeros() -> None:
    """As has one of spaces alone."""
    rows = rows_of(TEXT, raw_frame(("text",), [("late paid",), ("late",), ("paid paid",)] * 5))
    found = both(TfidfComponents.fit(rows), TEXT, raw_frame(("text",), [(None,), ("",), ("  ",)]), tokens=rows.tokens)
    assert np.array(found).tolist() == np.zeros((3, 2)).tolist()


def test_the_same_rows_give_the_same_components() -> None:
    """The decomposition draws by a seed of its own."""
    train = texts_of(600, 0)
    assert TfidfComponents.fit(rows_of(TEXT, train)) == TfidfComponents.fit(rows_of(TEXT, train))


def test_texts_that_do_not_differ_have_no_components() -> None:
    """Nor have texts without a repeated word."""
    assert TfidfComponents.fit(rows_of(TEXT, raw_frame(("text",), [("late paid",)] * 9))) is None
    assert TfidfComponents.fit(rows_of(TEXT, raw_frame(("text",), [("late",), ("paid",)]))) is None

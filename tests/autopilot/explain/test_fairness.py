"""Fairness by group, with intervals that other programs give."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_ind
from scipy.stats.contingency import relative_risk

from autopilot.explain.fairness import OTHERS, Fairness, fairness, fairness_chart, groups_of, newcombe, wilson
from storage import Column, Predictor, Signature
from storage.errors import InputError
from storage.predictor import Outputs
from tests import portable

BINARY = portable.CLASSIFIER
RNG = np.random.default_rng(0)
#: Of 180 rows of a, 120 are chosen, 90 of them rightly, and 30 of the others should be; of 90 rows of b, 30, 15 and 15.
COUNTS = {("a", 1, 1): 30, ("a", 0, 1): 10, ("a", 1, 0): 10, ("a", 0, 0): 10}
COUNTS |= {("b", 1, 1): 5, ("b", 0, 1): 5, ("b", 1, 0): 5, ("b", 0, 0): 15}
ROWS = [key for key, count in COUNTS.items() for _ in range(3 * count)]
GROUPS = pl.Series("sex", [group for group, _, _ in ROWS])
Y = np.array([float(truth) for _, truth, _ in ROWS])
LABELS = np.array([("no", "yes")[label] for _, _, label in ROWS], dtype=object)
PREDICTED = Outputs(LABELS, np.zeros((len(ROWS), 2), dtype=np.float32), None)


def rates(found: Fairness, name: str) -> dict[str, float | None]:
    """A group's figures by name."""
    group = next(each for each in found.groups if each.name == name)
    return {each.name: each.value for each in group.rates}


def test_rates_are_those_of_the_counts() -> None:
    """By hand: selected 120 of 180 and 30 of 90, and so on; the larger group is the reference."""
    found = fairness(Y, PREDICTED, GROUPS, BINARY)
    assert found.reference == "a"
    assert found.positive == "yes"
    assert rates(found, "a") == {
        "selection_rate": 40 / 60,
        "true_positive_rate": 30 / 40,
        "false_positive_rate": 10 / 20,
        "precision": 30 / 40,
        "accuracy": 40 / 60,
    }
    assert rates(found, "b") == {
        "selection_rate": 10 / 30,
        "true_positive_rate": 5 / 10,
        "false_positive_rate": 5 / 20,
        "precision": 5 / 10,
        "accuracy": 20 / 30,
    }
    second = found.groups[1]
    assert [each.value for each in second.differences] == pytest.approx([-1 / 3, -0.25, -0.25, -0.25, 0.0])
    assert [each.value for each in second.ratios] == pytest.approx([0.5, 2 / 3, 0.5, 2 / 3, 1.0])
    gaps = {each.name: each.value for each in found.gaps}
    assert gaps == pytest.approx(
        {"demographic_parity_difference": 1 / 3, "equalized_odds_difference": 0.25, "accuracy_difference": 0.0}
    )
    assert found.notes == ()


def test_intervals_are_those_of_scipy() -> None:
    """Wilson's of a rate, Katz's of a ratio."""
    found = fairness(Y, PREDICTED, GROUPS, BINARY, level=0.9)
    rate, ratio = found.groups[1].rates[0], found.groups[1].ratios[0]
    expected = binomtest(30, 90).proportion_ci(0.9, method="wilson")
    assert (rate.lower, rate.upper) == pytest.approx((expected.low, expected.high))
    risk = relative_risk(30, 90, 120, 180).confidence_interval(0.9)
    assert (ratio.lower, ratio.upper) == pytest.approx((risk.low, risk.high))


def test_differences_are_as_newcombe_published_them() -> None:
    """Table II of the paper, method 10: 56/70 - 48/80, 9/10 - 3/10, 10/10 - 0/20."""
    assert newcombe(56 / 70, 70, 48 / 80, 80, 0.95) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe(0.9, 10, 0.3, 10, 0.95) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    assert newcombe(1.0, 10, 0.0, 20, 0.95) == pytest.approx((0.6791, 1.0), abs=5e-5)


@given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_holds_its_share_and_is_scipys(hits: int, more: int, level: float) -> None:
    """For all counts, none and all among them."""
    rows = hits + more
    low, high = wilson(hits / rows, rows, level)
    expected = binomtest(hits, rows).proportion_ci(level, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= hits / rows <= high <= 1


def test_values_have_errors_and_bias() -> None:
    """By Welch's t, as scipy has it."""
    signature = Signature("regression", "price", (Column("amount", "number", "Float64"),))
    groups = pl.Series("town", ["Ulm"] * 80 + ["Bonn"] * 50)
    y = RNG.normal(size=130)
    predicted = y + RNG.normal(0, 1, 130) + np.repeat([0.0, 0.7], [80, 50])
    found = fairness(y, pl.DataFrame({"prediction": predicted}), groups, signature)
    error = predicted - y
    bonn = found.groups[1]
    assert bonn.rates[0].value == pytest.approx(np.abs(error[80:]).mean())
    assert bonn.rates[1].value == pytest.approx(error[80:].mean())
    expected = ttest_ind(error[80:], error[:80], equal_var=False).confidence_interval(0.95)
    assert (bonn.differences[1].lower, bonn.differences[1].upper) == pytest.approx((expected.low, expected.high))
    assert bonn.ratios == ()
    assert [each.name for each in found.gaps] == ["mean_absolute_error_difference", "bias_difference"]
    assert found.positive is None


def test_rows_weigh_as_they_are_told() -> None:
    """Weights of 1 change nothing; rows of weight 0 are not there; unequal weights count as fewer rows."""
    plain = fairness(Y, PREDICTED, GROUPS, BINARY)
    assert fairness(Y, PREDICTED, GROUPS, BINARY, weights=np.ones(len(Y))) == plain
    kept = GROUPS.to_numpy() == "a"
    alone = fairness(Y, PREDICTED, GROUPS, BINARY, weights=kept.astype(float))
    assert rates(alone, "a") == rates(plain, "a")
    assert set(rates(alone, "b").values()) == {None}
    uneven = fairness(Y, PREDICTED, GROUPS, BINARY, weights=RNG.uniform(0.1, 3.0, len(Y)))
    assert uneven.groups[0].rates[0].rows < 180


def test_small_groups_are_told_and_left_out_of_the_gaps() -> None:
    """Five rows of a third group, which are missing; two small groups have no gap."""
    groups = (
        GROUPS.to_frame().with_row_index().with_columns(sex=pl.when(pl.col("index") < 5).then(None).otherwise("sex"))
    )
    found = fairness(Y, PREDICTED, groups.get_column("sex"), BINARY)
    assert [(group.name, group.rows, group.is_small) for group in found.groups] == [
        ("a", 175, False),
        ("b", 90, False),
        ("missing", 5, True),
    ]
    assert found.notes == ("Fewer than 30 rows: missing. Their figures are left out of the gaps.",)
    few = fairness(Y[170:190], Outputs(LABELS[170:190], None, None), GROUPS[170:190], BINARY)
    assert few.gaps == ()
    assert "no two groups" in few.notes[1]


def test_rates_of_few_rows_are_left_out_of_the_gaps() -> None:
    """Of 30 rows of b, 15 are positive: their selection rate is compared, and their true positive rate is not."""
    found = fairness(Y[:210], Outputs(LABELS[:210], None, None), GROUPS[:210], BINARY)
    assert [each.name for each in found.gaps] == ["demographic_parity_difference", "accuracy_difference"]


def test_of_several_classes_one_is_named() -> None:
    """Without it there is the accuracy; with it the class is held against all others."""
    signature = Signature("multiclass", "grade", (Column("amount", "number", "Float64"),), classes=(1, 2, 3))
    outputs = Outputs(np.array([1, 2, 3, 3] * 10), None, None)
    y, groups = np.array([0.0, 1, 2, 1] * 10), pl.Series("town", ["Ulm"] * 40)
    assert rates(fairness(y, outputs, groups, signature), "Ulm") == {"accuracy": 0.75}
    assert rates(fairness(y, outputs, groups, signature, positive=3), "Ulm")["precision"] == 0.5
    with pytest.raises(InputError, match="no class 4"):
        fairness(y, outputs, groups, signature, positive=4)


def test_what_a_model_predicts_is_taken_as_it_comes() -> None:
    """Outputs of `run` and frames of `predict` give the same; a group column that the model does not take will do."""
    predictor = Predictor(portable.classifier())
    frame = pl.DataFrame(list(portable.ROWS) * 20, infer_schema_length=None)
    predicted = predictor.predict(frame)
    y = RNG.integers(0, 2, frame.height).astype(float)
    groups = pl.Series("sex", RNG.choice(["f", "m"], frame.height))
    outputs = Outputs(predicted["label"].to_numpy(), None, None)
    assert fairness(y, predicted, groups, BINARY) == fairness(y, outputs, groups, BINARY)
    with pytest.raises(InputError, match="groups 'sex' has 79 rows, y has 80"):
        fairness(y, predicted, groups[:79], BINARY)


def test_the_table_and_the_chart_tell_all_groups() -> None:
    """A line for each group and figure; Vega-Lite draws it."""
    import vl_convert

    found = fairness(Y, PREDICTED, GROUPS, BINARY)
    assert found.frame().height == 10
    svg = vl_convert.vegalite_to_svg(fairness_chart(found).to_dict())
    assert "true_positive_rate" in svg


@given(st.lists(st.none() | st.integers(-(10**6), 10**6), min_size=1, max_size=200))
def test_groups_of_numbers_hold_their_values(values: list[int | None]) -> None:
    """At most a dozen values stay, else quarters that do not overlap; what is missing stays so."""
    named = groups_of(pl.Series("n", values, dtype=pl.Int64)).to_list()
    assert [name is None for name in named] == [value is None for value in values]
    if len(set(values)) <= 12:
        assert named == [None if value is None else str(value) for value in values]
        return
    known = sorted((value, name) for value, name in zip(values, named, strict=True) if value is not None)
    assert len({name for _, name in known}) <= 4
    for value, name in known:
        low, _, high = name.partition(" to ")
        assert int(low) <= value <= int(high)
    changes = sum(one[1] != other[1] for one, other in pairwise(known))
    assert changes == len({name for _, name in known}) - 1


@given(st.lists(st.none() | st.sampled_from([f"w{at}" for at in range(40)]), min_size=1, max_size=200))
def test_groups_of_words_are_the_frequent_ones(words: list[str | None]) -> None:
    """All of a dozen, else the eleven most frequent and the others."""
    named = groups_of(pl.Series("w", words, dtype=pl.String)).to_list()
    changed = [(word, name) for word, name in zip(words, named, strict=True) if word != name]
    assert all(name == OTHERS for _, name in changed)
    if len(set(words)) <= 12:
        assert not changed
    else:
        assert len({name for name in named if name is not None}) <= 12
        least = min(words.count(name) for name in set(named) - {None, OTHERS})
        assert all(words.count(word) <= least for word, _ in changed)

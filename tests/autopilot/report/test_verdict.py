"""The verdict says what the figures come to, and what to watch for."""

import numpy as np
import pytest
from msgspec.structs import replace

from autopilot.graph.calibration import Head, Threshold
from autopilot.graph.conformal import Interval, Sets
from autopilot.report import verdict
from autopilot.report.evidence import Evidence
from autopilot.report.statistics import estimates
from autopilot.search.folds import Scheme
from autopilot.table.findings import Finding
from tests.autopilot.report.runs import evidence, study, table

FOLDS = Scheme("k-fold", 3)


def told(found: Evidence) -> str:
    """All that is to be watched for."""
    return " ".join(verdict.cautions(found, estimates(found)))


def test_it_says_how_good_the_model_is_beside_guessing() -> None:
    """With the interval, the rows, and in plain words."""
    found = evidence(study(table("binary", 3000), FOLDS))
    text = verdict.meaning(found, estimates(found))
    scores = found.model.card.scores
    assert f"with ROC AUC {scores.test_score:.4g} (95% interval 0." in text
    assert f"on {scores.test_rows:,} rows that no decision had seen; the constant guess" in text
    assert f"{scores.test['accuracy']:.0%} of its labels are right" in text
    assert verdict.headline(found, estimates(found)) == f"Predicts y: ROC AUC {scores.test_score:.4g}"


def test_a_model_that_learnt_nothing_is_called_so() -> None:
    """Its interval holds the guess."""
    frame = table("binary", 800)
    noise = frame.with_columns(y=frame["y"].shuffle(seed=1))
    found = evidence(study(noise, FOLDS))
    assert verdict.headline(found, estimates(found)) == "No better than guessing y"
    assert "no larger than chance explains" in told(found)


def test_the_constant_guess_is_called_so() -> None:
    """Where nothing else was published."""
    found = evidence(study(table("regression"), FOLDS))
    card = found.model.card
    guess = replace(card, members=tuple(replace(member, candidate="baseline") for member in card.members))
    found = replace(found, model=replace(found.model, card=guess))
    assert verdict.headline(found, estimates(found)) == "Only a constant guess of y"


def test_what_stands_out_is_told() -> None:
    """A class that is missed, probabilities that are off, few rows, grave findings, a run that was stopped."""
    of = study(table("binary", 400), FOLDS)
    found = evidence(of, Head(threshold=Threshold(0.9)))
    findings = tuple(Finding(kind, "code", f"{kind} about the data.") for kind in ("info", "warning", "warning"))
    held = found.held
    assert held is not None
    found = replace(
        found,
        findings=findings,
        run=replace(found.run, reason="stopped as asked"),
        held=replace(held, predicted=np.clip(held.predicted, 0.45, 0.55)),
    )
    text = told(found)
    for words in (
        "The figures rest on 80 rows",
        "warning about the data. 1 more finding of this kind below.",
        "Its labels find only 0% of yes.",
        "on average: do not take them at their word.",
        "The run ended before its time: stopped as asked.",
    ):
        assert words in text
    assert "info about" not in text


def test_nothing_is_told_where_nothing_stands_out() -> None:
    """A fair model on enough rows."""
    assert told(evidence(study(table("binary", 6000), FOLDS))) == ""


def test_a_validation_score_that_was_too_good_is_told() -> None:
    """Beyond the interval of the held-out score, on the better side alone."""
    found = evidence(study(table("regression", 3000), FOLDS))
    card = found.model.card

    def with_validation(factor: float) -> Evidence:
        scores = replace(card.scores, validation_score=factor * card.scores.test_score)
        return replace(found, model=replace(found.model, card=replace(card, scores=scores)))

    assert "better than the held-out rows bear out" in told(with_validation(0.5))
    assert "bear out" not in told(with_validation(2.0))


@pytest.mark.parametrize(("half_width", "is_told"), [(60.0, False), (5.0, True)])
def test_intervals_are_held_to_their_promise(half_width: float, *, is_told: bool) -> None:
    """Of the true values that they should hold, they hold so many."""
    found = evidence(study(table("regression", 3000), FOLDS), Head(interval=Interval(0.9, (), (half_width,))))
    assert ("Its intervals promise to hold 90%" in told(found)) is is_told
    held = found.held
    assert held is not None
    share = np.mean(np.abs(held.y - held.predicted[:, 0]) <= half_width)
    assert f"promise 90%, hold the true value of {share:.0%}" in verdict.certainty(found).replace(">99.9%", "100%")


def test_sets_are_told_with_their_size() -> None:
    """With cuts of 0 all classes are in each set."""
    found = evidence(study(table("multiclass", 600), FOLDS), Head(sets=Sets(0.9, (0.0, 0.0, 0.0))))
    assert "hold the true class of 100%" in verdict.certainty(found)
    assert "with 3.00 classes on average" in verdict.certainty(found)

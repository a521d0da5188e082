"""What a run keeps for its report is what was scored, bounded, and comes back as it went."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from msgspec.structs import replace

from autopilot.events import Note, Phase, TrialEnded, Working
from autopilot.graph.calibration import Beta, Head, Threshold
from autopilot.metrics import METRICS
from autopilot.report.evidence import MOST_ROWS, Evidence, HeldOut, collect, held_out
from autopilot.report.statistics import labels
from autopilot.search.ensemble import single
from autopilot.search.folds import Scheme
from autopilot.search.nested import Nested
from storage.errors import FailureError
from storage.records import Trial
from storage.signature import Column
from tests.autopilot.report.runs import evidence, guessed, run_of, study, table, tape, trained, version_of

FOLDS = Scheme("k-fold", 3)
HEAD = Head(calibration=Beta(1.3, 0.9, 0.1), threshold=Threshold(0.37))


def score(of: Evidence, held: HeldOut, name: str) -> float:
    """A metric of the rows that were kept, fold by fold as a card has it."""
    metric = METRICS[name]
    predicted = held.predicted
    if metric.needs == "label":
        predicted = np.eye(predicted.shape[1])[labels(of)]
    parts = [held.part == number for number in np.unique(held.part)]
    weights = held.weights
    each = [metric.score(held.y[at], predicted[at], None if weights is None else weights[at]) for at in parts]
    return float(np.average(each, weights=[at.sum() for at in parts]))


@pytest.mark.parametrize(
    ("task", "scheme", "head", "roles"),
    [
        ("binary", FOLDS, HEAD, {"weight": "weight"}),
        ("multiclass", FOLDS, Head(), {}),
        ("regression", Scheme("group", 3), Head(), {"group": "group"}),
        ("binary", Scheme("k-fold", 3, repeats=2, nested=True), Head(), {}),
    ],
)
def test_the_rows_that_are_kept_give_the_scores_of_the_card(
    task: str, scheme: Scheme, head: Head, roles: dict[str, str]
) -> None:
    """All of them, and the constant guess's, with weights, groups, a threshold, and where no rows are held out."""
    of = study(table(task), scheme, **roles)
    found = evidence(of, head, nested=Nested(0.8, 0.01) if scheme.nested else None)
    scores, held = found.model.card.scores, found.held
    assert held is not None
    for name, value in scores.test.items():
        assert score(found, held, name) == pytest.approx(value, abs=1e-5), name
    plain = replace(held, predicted=held.guess)
    for name in ("log_loss",) if task != "regression" else ("rmse", "mae"):
        assert score(found, plain, name) == pytest.approx(scores.baseline[name], abs=1e-5), name


def test_evidence_comes_back_as_it_was_kept() -> None:
    """To the bit, head and arrays too."""
    kept = evidence(study(table("binary"), FOLDS, weight="weight"), HEAD)
    data = kept.to_bytes()
    found = Evidence.from_bytes(data)
    assert found.to_bytes() == data
    assert (found.head, found.model, found.trials) == (kept.head, kept.model, kept.trials)
    assert kept.held is not None
    assert found.held is not None
    for name in HeldOut.__struct_fields__:
        np.testing.assert_array_equal(getattr(found.held, name), getattr(kept.held, name))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"PK\x03\x04" + data, "This is no evidence of a run"),
        (lambda data: data.replace(b"evidence 1\n", b"evidence 7\n"), "of version 7; this autopilot reads 1"),
        (lambda data: data[:-20], "cannot be read"),
    ],
)
def test_what_is_no_evidence_is_refused_with_the_reason(change: object, words: str) -> None:
    """Another file, one of a later version, and one that was cut."""
    data = evidence(study(table("regression", 60), FOLDS)).to_bytes()
    assert callable(change)
    with pytest.raises(FailureError, match=words):
        Evidence.from_bytes(change(data))


def test_of_very_many_rows_a_sample_is_kept() -> None:
    """By the study's seed, and it says of how many."""
    of = study(table("regression", 30_000), Scheme("holdout", 1))
    folds = replace(of.folds, search=of.folds.search[:2000], test=of.folds.search[2000:])
    of = replace(of, folds=replace(folds, folds=(replace(folds.folds[0], train=folds.search, valid=folds.search),)))
    blend, guess = single(trained(of)), guessed(of)
    held, again = held_out(of, blend, Head(), guess), held_out(of, blend, Head(), guess)
    assert (len(held.y), held.of_rows) == (MOST_ROWS, len(of.folds.test))
    np.testing.assert_array_equal(held.unit, again.unit)
    np.testing.assert_array_equal(held.y, of.table.y[held.unit])


def test_trials_are_timed_by_the_budget() -> None:
    """What lay between a kill and a resume does not count; a trial that was done again counts once."""
    first, second = (Trial("r1", number, "linear", {}, "completed", 0.8, (), 1.0) for number in (1, 2))
    records = tape(
        [Working(1, 2.0), Phase("searching"), TrialEnded(first, 0.8), Working(2, 9.0), TrialEnded(first, 0.8)],
        every_s=3.0,
    )
    late = [replace(record, at=record.at + timedelta(hours=1)) for record in records[3:]]
    last = replace(
        late[-1], number=9, at=late[-1].at + timedelta(seconds=1), body=tape([TrialEnded(second, 0.8)])[0].body
    )
    of = study(table("binary"), FOLDS)
    version = version_of(of, single(trained(of)), Head(), guessed(of), None)
    found = collect(of, version, run_of(of), [*records[:3], *late, last], head=Head())
    assert [(timed.trial.number, timed.ended_s) for timed in found.trials] == [(1, 12.0), (2, 13.0)]
    assert [(stage.name, stage.began_s) for stage in found.stages] == [("searching", 5.0)]


def test_evidence_stays_within_its_bounds() -> None:
    """With a hundred classes, two thousand columns of a thousand levels, and trials by the thousand."""
    rng = np.random.default_rng(0)
    of = study(table("binary"), FOLDS)
    small = evidence(of)
    shares = rng.dirichlet(np.ones(100), 4000).astype(np.float32).astype(np.float64)
    zeros = np.zeros(4000, dtype=np.int64)
    held = HeldOut(zeros * 1.0, shares, shares[:1], zeros, None, zeros, zeros, 4000)
    trials = [
        TrialEnded(Trial("r1", number, "linear", {"x": "y" * 200}, "failed", None, (), 1.0, reason="z" * 9000), None)
        for number in range(3000)
    ]
    best = TrialEnded(Trial("r1", 3001, "linear", {"depth": 3}, "completed", 0.9, (), 1.0), 0.9)
    levels = tuple(f"a level by the number of {number}" for number in range(1000))
    columns = tuple(Column(f"column {number}", "category", "String", levels=levels) for number in range(2000))
    signature = replace(small.signature, columns=columns)
    notes = [Note(f"{number} " * 400) for number in range(500)]
    found = collect(
        of, replace(small.model, signature=signature), small.run, tape([*trials, best, *notes]), head=Head(), held=held
    )
    assert len(found.to_bytes()) < 2_000_000
    assert found.trial_count == 3001
    assert found.trials[-1].trial.params == {"depth": 3}
    assert all(early.ended_s <= late.ended_s for early, late in pairwise(found.trials))

"""Greedy ensemble selection, with a price on what a row costs.

Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004: start from the best trial, add again and
again the trial (with replacement) that improves the average most, and take the best average on the way. Here a trial
improves it by the objective

    loss + gap · cost(latency)

with the latency of the whole blend in microseconds, and the gap between the loss of a constant guess and that of the
best trial, so that a cost means the same for all metrics: 1e-5 for each microsecond asks a member that takes 30 us for
3e-4 of what there was to learn. Up to 70 us a row a microsecond may cost less than beyond: there the network takes
longer anyway. What the first steps needed and later ones replaced is taken out again.
"""

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from autopilot.deadline import Deadline
from autopilot.plan import Recipe
from autopilot.search.averages import averages_of
from autopilot.search.frontier import Point
from autopilot.search.latency import Latency
from autopilot.search.scoring import Scoring
from autopilot.search.trial import Outcome
from storage.errors import InputError
from storage.records import Member

Values = NDArray[np.float64]
Counts = NDArray[np.int64]
Rows = NDArray[np.int64]

_MOST_STEPS = 25
_MOST_CANDIDATES, _MOST_OF_FAMILY = 25, 5
#: Steps without a better objective before the selection ends: a second member may need a third to pay.
_PATIENCE = 4
#: What each further member has to gain, of the gap, beside the price of its latency: less is chance, and one more model
#: to train, to store and to explain.
_LEAST_GAIN = 1e-5
#: Rows on which averages are compared; beyond, the differences that matter are larger than the noise of a sample.
_MOST_ROWS = 50_000
#: The selection, and the frontier after it, take no longer than this, whatever the metric.
_LIMIT_S = 4.0
#: Steps for which there has to be time, with a slow metric on fewer candidates; and calls of the metric at the end.
_LEAST_STEPS, _LAST_CALLS = 5, 3
#: The frontier: limits from the fastest trial to the slowest blend, and the rows on which averages are compared.
_LIMITS, _MOST_FRONTIER_ROWS = 6, 10_000
#: Of one row: up to here it may cost less than beyond.
_USUAL_US = 70.0


class Quality(Struct, frozen=True):
    """How much a model may cost for how little more.

    most_members: of the ensemble. price, price_beyond: what each microsecond costs, as a share of the gap, up to 70 of
    them and beyond. keep_folds: whether the models of the folds are kept and averaged in the graph, in place of one
    that is trained again on all rows.
    """

    most_members: int
    price: float
    price_beyond: float
    keep_folds: bool = False

    def cost(self, latency_us: Values | float) -> Values | float:
        """Of one row, as a share of the gap."""
        usual = np.minimum(latency_us, _USUAL_US)
        return self.price * usual + self.price_beyond * (latency_us - usual)


#: `fast` is one small model. `balanced` is an ensemble, each member trained again on all rows. `best` keeps the fold
#: models of each member: no refit, and five times the file and the latency.
#:
#: The prices are what 22 sets of out-of-fold predictions (150 to 3,000 rows, some 24 trials each) suggest, by the share
#: of the gap that the ensemble gains over the best trial on other rows, up to 8,000. By roc_auc, log_loss and rmse it
#: gains 0.0186 at 100 us free of charge, 0.0184 at 93 us at 3e-5, 0.0179 at 80 us at 1e-4, 0.0149 at 68 us at 3e-4; the
#: choice of a single model loses nothing up to 3e-4, and 0.007 at 1e-3. There is no test of significance: taking only
#: ensembles whose gain exceeded its standard error gave up 60% of the gain in log_loss, accuracy and mae, and taking
#: for `fast` the cheapest trial within a standard error of the best lost 0.014. On nine sets of 800 to 160,000 rows
#: after 60 s, by one price for all microseconds 3e-5 took 116 us (median) a row, 7e-5 110 us and 1e-4 86 us, which lost
#: 0.003 of the gap; 1e-5 up to 100 us and 1e-4 beyond took 92 us and lost 0.001, nearly all of it on one set. Up to 70
#: us in place of 100 took another 13% of the latency and lost 0.0001.
QUALITIES: dict[str, Quality] = {
    "fast": Quality(most_members=1, price=3e-4, price_beyond=3e-4),
    "balanced": Quality(most_members=8, price=1e-5, price_beyond=1e-4),
    "best": Quality(most_members=8, price=3e-6, price_beyond=3e-6, keep_folds=True),
}


class Pricing(Struct, frozen=True):
    """What an ensemble may cost. max_latency_us: of one row, None for no limit."""

    quality: Quality = QUALITIES["balanced"]
    latency: Latency = Latency(0.0, {})
    max_latency_us: float | None = None

    @property
    def limit_us(self) -> float:
        """The limit; infinite if there is none."""
        return float("inf") if self.max_latency_us is None else self.max_latency_us

    def of(self, outcomes: Sequence[Outcome]) -> float:
        """Predicted microseconds of one row through a blend of these."""
        return self.latency.of([recipe_of(one) for one in outcomes], [one.latency_us for one in outcomes])


class Blend(Struct, frozen=True):
    """Trials and their weights, which sum to 1, heaviest first.

    score: of their average on the validated rows. latency_us: predicted, of one row. fits: whether that is within the
    limit; only the cheapest trial of all is ever given beyond it.
    """

    outcomes: tuple[Outcome, ...]
    weights: tuple[float, ...]
    score: float
    latency_us: float = 0.0
    fits: bool = True

    def average(self, parts: list[Values]) -> Values:
        """The weighted sum of the members' predictions."""
        return np.sum([weight * part for weight, part in zip(self.weights, parts, strict=True)], axis=0)

    @property
    def valid(self) -> Values:
        """Out-of-fold predictions of the blend."""
        return self.average([outcome.valid for outcome in self.outcomes if outcome.valid is not None])

    @property
    def test(self) -> Values:
        """Predictions of the blend for the test rows."""
        return self.average([outcome.test for outcome in self.outcomes if outcome.test is not None])


def single(outcome: Outcome, pricing: Pricing = Pricing()) -> Blend:  # noqa: B008 - a frozen record of defaults
    """A blend of one trial."""
    latency_us = pricing.of([outcome])
    return Blend((outcome,), (1.0,), _score_of(outcome), latency_us, latency_us <= pricing.limit_us)


def blend(outcomes: Sequence[Outcome], scoring: Scoring, pricing: Pricing, deadline: Deadline) -> Blend:
    """The best average of complete trials by the objective, within the limit on latency.

    Never worse by the objective than the best single trial that fits, so never worse in score than it by more than the
    price of the latency that it saves. Ties go to fewer members, and the order of the outcomes does not matter. Where
    the deadline comes first, the best that was found until then. There has to be one trial at least.
    """
    return _Library(outcomes, scoring, pricing, deadline).best(pricing.limit_us)


def frontier(
    outcomes: Sequence[Outcome], scoring: Scoring, pricing: Pricing, chosen: Blend, deadline: Deadline
) -> tuple[Point, ...]:
    """What a better score costs: blends from the fastest to the best, each better than all that are faster.

    Selected at a ladder of limits, from the fastest trial on and the price left aside; single trials are among them.
    The chosen blend always is: what would be better and no slower makes way for it.
    """
    free = replace(pricing, quality=replace(QUALITIES["balanced"], price=0.0, price_beyond=0.0), max_latency_us=None)
    library = _Library(outcomes, scoring, free, deadline, _MOST_FRONTIER_ROWS)
    slowest = library.best(float("inf"))
    singles = library.singles
    fastest_us = min(one.latency_us for one in singles)
    limits = np.geomspace(max(fastest_us, 1.0), max(slowest.latency_us, 1.0), _LIMITS)[1:-1]
    found = [*singles, *(library.best(float(limit)) for limit in limits), slowest]
    loss, latency_us = _loss_of(chosen, scoring), chosen.latency_us
    others = [one for one in found if one.latency_us > latency_us or _loss_of(one, scoring) > loss]
    points: list[Point] = []
    least = float("inf")
    for one in sorted([chosen, *others], key=lambda one: (one.latency_us, _loss_of(one, scoring))):
        if _loss_of(one, scoring) < least:
            least = _loss_of(one, scoring)
            points.append(Point(one.latency_us, one.score, _members(one), one is chosen))
    return tuple(points)


class _Library:
    """Caruana's library of models: the trials that may become members, best first, and how averages are compared.

    A blend is told by counts (candidates,): how often each of them was added.
    """

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        scoring: Scoring,
        pricing: Pricing,
        deadline: Deadline,
        most_rows: int = _MOST_ROWS,
    ) -> None:
        self._scoring, self._pricing = scoring, pricing
        until = deadline.earlier(max(0.0, deadline.left_s - _LIMIT_S))
        ranked = sorted(outcomes, key=lambda one: (_loss_of(one, scoring), one.spec.number))
        self._gap, call_s = (0.0, 0.0) if until.passed else _measured_gap(ranked[0], scoring)
        self._until = until.earlier(_LAST_CALLS * call_s)
        self._affordable = int(self._until.left_s / max(call_s, 1e-9) / _LEAST_STEPS)
        self._members = _candidates(ranked, pricing)
        self.singles = [single(one, pricing) for one in self._members]
        self._sample, rows = _sampled(scoring, most_rows)
        self._predictions = [_valid_of(one)[rows] for one in self._members]
        self._averages = averages_of(self._predictions, self._sample, self._until)

    def best(self, limit_us: float) -> Blend:
        """The best blend within a limit; where there is none, the fastest trial."""
        fitting = [index for index, one in enumerate(self.singles) if one.latency_us <= limit_us]
        if not fitting:
            return replace(min(self.singles, key=lambda one: one.latency_us), fits=False)
        starts = [fitting[0], min(fitting, key=lambda index: self._worth(self.singles[index]))]
        found = [self.singles[start] for start in starts]
        added = fitting[: self._affordable]
        if len(added) > 1 and self._pricing.quality.most_members > 1:
            counts = [self._selected(start, added, limit_us) for start in dict.fromkeys(starts)]
            found += [self._blend(self._pruned(each)) for each in counts]
        return min(found, key=self._worth)

    def _selected(self, start: int, candidates: list[int], limit_us: float) -> Counts:
        """The best counts of all steps, each of which adds one of the candidates."""
        each = np.eye(len(self._members), dtype=np.int64)
        counts = best = each[start]
        least, tries = float(self._objective(counts[None])[0]), 0
        for _ in range(1, _MOST_STEPS):
            added = counts + each[candidates]
            allowed = (added > 0).sum(axis=1) <= self._pricing.quality.most_members
            added = added[allowed & (self._latencies(added) <= limit_us)]
            if not len(added):
                break
            values = self._objective(added)
            counts, value = added[np.argmin(values)], float(values.min())
            best, least, tries = (counts, value, 0) if value < least else (best, least, tries + 1)
            if tries == _PATIENCE or value == float("inf"):
                break
        return best

    def _pruned(self, counts: Counts) -> Counts:
        """Without members that are not worth what they cost now that the others are there."""
        while (members := np.flatnonzero(counts)).size > 1:
            fewer = np.where(members[:, None] == np.arange(len(counts)), 0, counts)
            values = self._objective(np.vstack([counts, fewer]))
            if not values[1:].min() <= values[0] < float("inf"):
                break
            counts = fewer[np.argmin(values[1:])]
        return counts

    def _objective(self, counts: Counts) -> Values:
        """Of each blend: (blends, candidates) to (blends,)."""
        losses = self._averages.losses(counts / counts.sum(axis=1, keepdims=True))
        cost = self._pricing.quality.cost(self._latencies(counts)) + _LEAST_GAIN * (counts > 0).sum(axis=1)
        return losses + self._gap * cost

    def _worth(self, found: Blend) -> float:
        """The objective by all rows."""
        cost = self._pricing.quality.cost(found.latency_us) + _LEAST_GAIN * len(found.weights)
        return self._scoring.metric.loss(found.score) + self._gap * float(cost)

    def _latencies(self, counts: Counts) -> Values:
        """Of each blend, in microseconds."""
        return np.array([self._pricing.of([self._members[index] for index in np.flatnonzero(row)]) for row in counts])

    def _blend(self, counts: Counts) -> Blend:
        order = [int(index) for index in np.argsort(-counts, kind="stable") if counts[index]]
        members = tuple(self._members[index] for index in order)
        weights = tuple(float(counts[index] / counts.sum()) for index in order)
        if len(order) == 1:
            return self.singles[order[0]]
        mixed = Blend(members, weights, 0.0, self._pricing.of(members))
        return replace(mixed, score=self._scoring.score(mixed.valid))


def _measured_gap(best: Outcome, scoring: Scoring) -> tuple[float, float]:
    """Between the loss of a constant guess and that of the best trial, and the seconds that a call of the metric takes.

    At least a thousandth of the loss: where nothing is better than the guess, latency decides. The loss itself where a
    metric of one's own refuses the guess.
    """
    loss, began = _loss_of(best, scoring), time.monotonic()
    try:
        guess = scoring.loss(_guess(scoring, _valid_of(best).shape[1]))
    except InputError:
        guess = loss + abs(loss)
    return max(guess - loss, 1e-3 * abs(loss), 1e-12), time.monotonic() - began


def recipe_of(outcome: Outcome) -> Recipe:
    """The recipe of its features."""
    return outcome.spec.candidate.recipe


def _valid_of(outcome: Outcome) -> Values:
    if outcome.valid is None:
        raise ValueError(f"Trial {outcome.spec.number} has no predictions. Give trials that were completed.")
    return outcome.valid


def _score_of(outcome: Outcome) -> float:
    return float("nan") if outcome.trial.score is None else outcome.trial.score


def _loss_of(found: Outcome | Blend, scoring: Scoring) -> float:
    return scoring.metric.loss(found.score if isinstance(found, Blend) else _score_of(found))


def _candidates(ranked: list[Outcome], pricing: Pricing) -> list[Outcome]:
    """Of trials, best first, those that no other beats in loss and latency, and the best of each family in turns."""
    fastest_us = float("inf")
    of_family: Counter[str] = Counter()
    efficient: list[int] = []
    turns: list[tuple[int, int]] = []
    for index, one in enumerate(ranked):
        if pricing.of([one]) < fastest_us:
            fastest_us = pricing.of([one])
            efficient.append(index)
        turns.append((of_family[one.trial.candidate], index))
        of_family[one.trial.candidate] += 1
    others = [index for turn, index in sorted(turns) if turn < _MOST_OF_FAMILY]
    chosen = list(dict.fromkeys([*efficient, *others]))[: max(_MOST_CANDIDATES, len(efficient))]
    return [ranked[index] for index in sorted(chosen)]


def _guess(scoring: Scoring, outputs: int) -> Values:
    """The same for each row: the mean value, or the shares of the classes. (rows, outputs) as models learn them."""
    weights = scoring.weights if scoring.weights is not None and scoring.weights.any() else None
    if scoring.metric.needs == "value":
        guess = scoring.unit.scale(np.average(scoring.y, weights=weights, keepdims=True))
    else:
        counts = np.bincount(scoring.y.astype(np.int64), weights, outputs)
        guess = counts / counts.sum()
    return np.broadcast_to(guess, (len(scoring.y), outputs))


def _sampled(scoring: Scoring, most_rows: int) -> tuple[Scoring, Rows]:
    """At most so many rows, of each fold its share."""
    rng = np.random.default_rng(0)
    share = min(1.0, most_rows / len(scoring.y))
    sizes = [rows.stop - rows.start for rows in scoring.slices]
    drawn = [np.sort(rng.permutation(size)[: max(1, round(share * size))]) for size in sizes]
    parts = [rows.start + some for rows, some in zip(scoring.slices, drawn, strict=True)]
    return _scoring_of(scoring, parts), np.concatenate(parts)


def _scoring_of(scoring: Scoring, parts: list[Rows]) -> Scoring:
    """Of rows that are taken out and stacked, each part in the place of a fold."""
    rows = np.concatenate(parts)
    ends = np.cumsum([len(part) for part in parts]).tolist()
    slices = tuple(slice(end - len(part), end) for part, end in zip(parts, ends, strict=True))
    weights = None if scoring.weights is None else scoring.weights[rows]
    return replace(scoring, y=scoring.y[rows], weights=weights, slices=slices)


def _members(found: Blend) -> tuple[Member, ...]:
    pairs = zip(found.outcomes, found.weights, strict=True)
    return tuple(
        Member(one.spec.number, one.trial.candidate, weight, one.spec.params, recipe_of(one)) for one, weight in pairs
    )

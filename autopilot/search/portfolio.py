"""The portfolio: good points of all families in the order in which the search tries them.

As AutoGluon's portfolio is learnt (TabRepo, Salinas and Erickson, arXiv 2311.02971): each entry was trained once on
several tables, and entries were then taken one after the other, each time the one by which the average of all that are
taken gains most for each second that it costs. `python -m bench.portfolio --manifest M.json` does this.

It was done on 1,000 and on 4,000 rows of adult, bank marketing, credit-g (1,000 alone), California housing, diamonds,
bike sharing, electricity and covertype; losses and seconds are multiples of those of the usual LightGBM:

    1,000 rows: linear and nearest neighbours 1.12 after 0.1, LightGBM with 8 leaves 0.94 after 0.7, a perceptron 0.90
    after 1.3, extra trees 0.88 after 1.9, another perceptron 0.86 after 3, CatBoost 0.855 after 4, all others 0.847
    after 19.
    4,000 rows: linear and LightGBM with 8 leaves 1.00 after 0.8, with prepared features 0.98 after 1.7, nearest
    neighbours and a random forest 0.96 after 3, a perceptron 0.94 after 4, XGBoost and extra trees 0.93 after 7,
    all others 0.92 after 30.

So difference gains more than another shape of the same family: a second shape on the same features came after the
perceptron both times. Four things were changed by hand: a second, lighter penalty stands beside the first for small
tables, since it takes a tenth of a second and is what separable classes want (penguins: log loss 0.014 against 0.046);
the usual LightGBM stands earlier for medium tables, since more rows want more leaves; after it stands one with 255 of
them, which few tables want, but those much (electricity, 32,000 rows: roc_auc 0.9856 against 0.9835 with 31 leaves and
seven times the rounds), and one with 131 of them, fewer features a tree and all rows, as FLAML finds them (single
models: rmse 4% less than with 255 on bike sharing, 1.4% on California housing); and what gained nothing stands at the
end, for tables that are unlike these.

The order for large tables is reasoned, not learnt: LightGBM first, with larger rates for more rows as LightAutoML has
them, little that is slow. Large trees come early, for where there are many rows and classes they learn more in less
time (covertype, 67,000 rows: log loss 0.240 after 15 s, with 31 leaves 0.256 after 20).
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from autopilot.candidates.candidate import Candidate, Problem
from autopilot.candidates.narrowed import clipped
from autopilot.search.space import Params
from storage.signature import Signature

#: Rows that a fold trains on: below the first, and above the second, other orders hold.
SMALL_ROWS, LARGE_ROWS = 2_000, 50_000

#: The rate of a usual tree at 5 ms of budget for each row; more time allows for a smaller one.
_USUAL_RATE, _USUAL_S, _RATE_POWER = 0.08, 0.005, 1 / 3
_LEAST_RATE, _MOST_RATE = 0.03, 0.12


class Entry(Struct, frozen=True):
    """What to try: a candidate by its name, and parameters that name all of its space."""

    candidate: str
    params: Params


class Shape(NamedTuple):
    """LightGBM's parameters, with the learning rate as a multiple of the usual one.

    After AutoGluon's portfolio of December 2025: very different leaf counts, few features a tree, random cuts. Its
    rates of 0.01-0.02 are for hours.
    """

    rate: float
    num_leaves: int
    min_data_in_leaf: int
    feature_fraction: float
    bagging_fraction: float
    lambda_l1: float = 1e-3
    lambda_l2: float = 1e-3
    extra_trees: bool = False
    min_sum_hessian_in_leaf: float = 1.0

    def params(self, rate: float) -> Params:
        """With the learning rate itself."""
        rest = self._asdict()
        return {"learning_rate": min(max(rate * rest.pop("rate"), _LEAST_RATE), 0.3), **rest}


SHAPES: dict[str, Shape] = {
    "usual": Shape(1.0, 31, 20, 0.9, 0.9),
    "deep": Shape(0.8, 255, 3, 0.9, 0.9, min_sum_hessian_in_leaf=0.1),
    "wide": Shape(0.8, 131, 12, 0.7, 1.0, lambda_l2=0.1),
    "r13": Shape(0.8, 64, 28, 0.553, 0.992, 0.91, 1.90, extra_trees=True),
    "r177": Shape(0.8, 39, 3, 0.462, 0.877, 0.24, 0.36, extra_trees=True),
    "r163": Shape(0.6, 84, 3, 0.528, 0.978, 1e-3, 0.84),
    "r41": Shape(1.2, 8, 15, 0.425, 0.72, extra_trees=True),
    "r72": Shape(0.8, 180, 12, 0.404, 0.95, 0.77, 1.6, extra_trees=True),
    "r31": Shape(1.0, 16, 1, 0.579, 0.9),
    "r21": Shape(0.8, 20, 20, 0.425, 0.71),
    "r120": Shape(1.5, 5, 20, 0.733, 0.9, extra_trees=True),
    "r6": Shape(1.2, 8, 20, 0.7, 0.9),
}

#: Where an entry's parameters come from: LightGBM's shapes by name, the candidate's own points by number.
Source = tuple[str, str | int]

SMALL: tuple[Source, ...] = (
    ("baseline", 0),
    ("linear", 0),
    ("linear", 2),
    ("nearest_neighbours", 0),
    ("lightgbm", "r6"),
    ("perceptron", 0),
    ("naive_bayes", 2),
    ("extra_trees", 0),
    ("support_vectors", 1),
    ("perceptron", 1),
    ("naive_bayes", 1),
    ("catboost", 2),
    ("lightgbm_prepared", "r31"),
    ("random_forest", 1),
    ("nearest_neighbours", 1),
    ("histogram_boosting", 0),
    ("perceptron", 2),
    ("xgboost", 0),
    ("support_vectors", 0),
    ("random_forest", 0),
    ("catboost", 0),
    ("gradient_boosting", 0),
    ("lightgbm", "r120"),
    ("lightgbm", "r177"),
    ("xgboost", 2),
)
MEDIUM: tuple[Source, ...] = (
    ("baseline", 0),
    ("linear", 1),
    ("lightgbm", "r6"),
    ("lightgbm_prepared", "r31"),
    ("lightgbm", "usual"),
    ("lightgbm", "deep"),
    ("lightgbm", "wide"),
    ("nearest_neighbours", 0),
    ("random_forest", 0),
    ("perceptron", 0),
    ("naive_bayes", 1),
    ("xgboost", 2),
    ("extra_trees", 1),
    ("perceptron", 1),
    ("lightgbm_prepared", "usual"),
    ("catboost", 2),
    ("lightgbm", "r177"),
    ("histogram_boosting", 0),
    ("random_forest", 1),
    ("perceptron", 2),
    ("lightgbm", "r31"),
    ("catboost", 0),
    ("lightgbm", "r163"),
    ("support_vectors", 1),
    ("gradient_boosting", 0),
    ("lightgbm", "r72"),
)
LARGE: tuple[Source, ...] = (
    ("baseline", 0),
    ("linear", 0),
    ("lightgbm", "usual"),
    ("lightgbm", "deep"),
    ("lightgbm_prepared", "usual"),
    ("lightgbm", "r163"),
    ("catboost", 2),
    ("perceptron", 0),
    ("lightgbm", "r31"),
    ("xgboost", 2),
    ("lightgbm_prepared", "r31"),
    ("lightgbm", "r177"),
    ("catboost", 0),
    ("lightgbm_prepared", "r163"),
    ("extra_trees", 1),
    ("random_forest", 1),
    ("lightgbm", "r72"),
    ("histogram_boosting", 0),
    ("naive_bayes", 1),
    ("gradient_boosting", 0),
    ("nearest_neighbours", 0),
    ("support_vectors", 0),
)


def portfolio(problem: Problem, signature: Signature, candidates: Sequence[Candidate], budget_s: float) -> list[Entry]:
    """The entries for a table, best first: those of the chosen candidates that apply, each of them at least once.

    Parameters are moved into a candidate's space where that is narrower. A candidate that the order does not know, one
    of the user's own, has its first point tried early and its others at the end. Features that are made of two columns
    (the recipe "prepared") are tried last where there are not two to make them of.
    """
    chosen = {candidate.name: candidate for candidate in candidates if candidate.applies(problem)}
    listed = [entry_of(chosen[name], at, problem, budget_s) for name, at in _order(problem) if name in chosen]
    known = {entry.candidate for entry in listed}
    others = [_points(candidate, problem) for name, candidate in chosen.items() if name not in known]
    early, late = [points[0] for points in others], [entry for points in others for entry in points[1:]]
    entries = _once([*listed[:2], *early, *listed[2:], *late])
    if _has_pairs(signature):
        return entries
    return sorted(entries, key=lambda entry: chosen[entry.candidate].recipe == "prepared")


def entry_of(candidate: Candidate, at: str | int, problem: Problem, budget_s: float) -> Entry:
    """A candidate's entry, from LightGBM's shapes or its own points: the last one if it has not as many."""
    points = candidate.points(problem)
    params = (
        SHAPES[at].params(_rate(problem.rows, budget_s)) if isinstance(at, str) else points[min(at, len(points) - 1)]
    )
    return Entry(candidate.name, clipped({**points[0], **params}, candidate.space(problem)))


def _order(problem: Problem) -> tuple[Source, ...]:
    if problem.rows < SMALL_ROWS:
        return SMALL
    return MEDIUM if problem.rows <= LARGE_ROWS else LARGE


def _rate(rows: int, budget_s: float) -> float:
    """The learning rate of a usual tree: halved by eight times the time for each row."""
    rate = _USUAL_RATE * (_USUAL_S * rows / budget_s) ** _RATE_POWER
    return min(max(rate, _LEAST_RATE), _MOST_RATE)


def _points(candidate: Candidate, problem: Problem) -> list[Entry]:
    return [Entry(candidate.name, params) for params in candidate.points(problem)]


def _once(entries: list[Entry]) -> list[Entry]:
    """Without repetitions, which narrower spaces make."""
    found: list[Entry] = []
    for entry in entries:
        if entry not in found:
            found.append(entry)
    return found


def _has_pairs(signature: Signature) -> bool:
    counts = {kind: len(signature.of_kind(kind)) for kind in ("number", "category")}
    return max(counts.values()) > 1 or min(counts.values()) > 0

"""The candidates: families of models that the search may try, one file each.

A candidate says which recipe of features it reads, its parameters' ranges and good first points, how it is trained
within a deadline, and how it becomes ONNX nodes. What cannot be exported exactly cannot be listed: tests train each on
real frames and compare. A new one is a file here and a line in CANDIDATES. Start reading at `candidate.py`;
`boosting.py` and `forest.py` hold what several of them share.

Decision: one thread for each fit. LightGBM with two threads took 2-7 times as long as with one on busy cores, so cores
are filled by trials at once.
"""

from collections.abc import Sequence
from importlib.util import find_spec

from autopilot.candidates.baseline import Baseline
from autopilot.candidates.candidate import Candidate
from autopilot.candidates.catboost import CatBoost
from autopilot.candidates.extra_trees import ExtraTrees
from autopilot.candidates.gradient_boosting import GradientBoosting
from autopilot.candidates.histogram_boosting import HistogramBoosting
from autopilot.candidates.lightgbm import LightGBM
from autopilot.candidates.linear import Linear
from autopilot.candidates.naive_bayes import NaiveBayes
from autopilot.candidates.nearest_neighbours import NearestNeighbours
from autopilot.candidates.perceptron import Perceptron
from autopilot.candidates.random_forest import RandomForest
from autopilot.candidates.support_vectors import SupportVectors
from autopilot.candidates.xgboost import XGBoost
from storage.errors import InputError

#: What the search tries unless it is told otherwise.
DEFAULT_CANDIDATES: tuple[Candidate, ...] = (Baseline(), Linear(), LightGBM(), ExtraTrees())

#: All that there are, which can be chosen by name.
CANDIDATES: tuple[Candidate, ...] = (
    *DEFAULT_CANDIDATES,
    LightGBM("lightgbm_prepared", "prepared"),
    RandomForest(),
    GradientBoosting(),
    HistogramBoosting(),
    XGBoost(),
    CatBoost(),
    Perceptron(),
    NaiveBayes(),
    NearestNeighbours(),
    SupportVectors(),
)

#: Candidates whose library, of the same name, comes with an extra.
_EXTRAS = {"catboost": "boost", "xgboost": "boost"}


def choose(wanted: Sequence[str | Candidate] | None) -> tuple[Candidate, ...]:
    """Candidates by name or as they are, each once, in their order; the default ones for None.

    Raises InputError for none, for a name that no candidate has, and for one whose library is not installed.
    """
    if wanted is None:
        return DEFAULT_CANDIDATES
    if not wanted:
        raise InputError(f"No candidate is given. Name some of {_names()}, or leave them out to try the usual ones.")
    chosen = [_named(one) if isinstance(one, str) else one for one in wanted]
    for candidate in chosen:
        _refuse_missing(candidate)
    return tuple({candidate.name: candidate for candidate in chosen}.values())


def _named(name: str) -> Candidate:
    for candidate in CANDIDATES:
        if candidate.name == name:
            return candidate
    raise InputError(f"There is no candidate {name!r}. Use one of {_names()}.")


def _names() -> str:
    return ", ".join(candidate.name for candidate in CANDIDATES)


def _refuse_missing(candidate: Candidate) -> None:
    extra = _EXTRAS.get(candidate.name)
    if extra is not None and find_spec(candidate.name) is None:
        raise InputError(
            f"The candidate {candidate.name!r} needs the library {candidate.name}, which is not installed. "
            f"Run: pip install 'autopilot[{extra}]'"
        )


__all__ = ["CANDIDATES", "DEFAULT_CANDIDATES", "Candidate", "choose"]

"""The candidates: families of models that the search may try, one file each.

A candidate says which recipe of features it reads, its parameters' ranges and good first points, how it is trained
within a deadline, and how it becomes ONNX nodes. What cannot be exported exactly cannot be listed: tests train each on
real frames and compare. A new one is a file here and a line in CANDIDATES. Start reading at `candidate.py`;
`boosting.py`, `forest.py` and `perceptron_numpy.py` hold what stands behind one or several of them, `narrowed.py` what
a user's narrower ranges make of one. docs/candidates.md is the guide.

Decision: one thread for each fit. LightGBM with two threads took 2-7 times as long as with one on busy cores, so cores
are filled by trials at once.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, get_args

from autopilot.candidates.baseline import Baseline
from autopilot.candidates.candidate import Candidate
from autopilot.candidates.catboost import CatBoost
from autopilot.candidates.extra_trees import ExtraTrees
from autopilot.candidates.gradient_boosting import GradientBoosting
from autopilot.candidates.histogram_boosting import HistogramBoosting
from autopilot.candidates.lightgbm import LightGBM
from autopilot.candidates.linear import Linear
from autopilot.candidates.naive_bayes import NaiveBayes
from autopilot.candidates.narrowed import narrowed as narrow  # by its own name, it would hide the file
from autopilot.candidates.nearest_neighbours import NearestNeighbours
from autopilot.candidates.perceptron import Perceptron
from autopilot.candidates.random_forest import RandomForest
from autopilot.candidates.support_vectors import SupportVectors
from autopilot.candidates.xgboost import XGBoost
from autopilot.plan import Recipe
from storage.errors import InputError

#: What the search tries unless it is told otherwise, where it is installed and applies to the table.
DEFAULT_CANDIDATES: tuple[Candidate, ...] = (
    Baseline(),
    Linear(),
    LightGBM(),
    LightGBM("lightgbm_prepared", "prepared"),
    CatBoost(),
    XGBoost(),
    Perceptron(),
    ExtraTrees(),
    RandomForest(),
    NaiveBayes(),
    NearestNeighbours(),
    SupportVectors(),
)

#: All that there are, which can be chosen by name.
CANDIDATES: tuple[Candidate, ...] = (*DEFAULT_CANDIDATES, GradientBoosting(), HistogramBoosting())

#: Candidates whose library, of the same name, comes with an extra.
_EXTRAS = {"catboost": "boost", "xgboost": "boost"}
#: What a candidate of one's own has to have.
_NEEDED = tuple(name for name in vars(Candidate) if not name.startswith("_"))


def choose(
    wanted: Sequence[str | Candidate] | None, spaces: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[Candidate, ...]:
    """Candidates by name or as they are, each once, in their order; for None the default ones that are installed.

    spaces: narrower ranges by the candidate's name, as `narrowed.narrowed` takes them.

    Raises InputError for no candidate at all, for a name that none has, for one whose library is not installed, for an
    object that lacks what a candidate needs, and for ranges that do not fit.

    >>> [candidate.name for candidate in choose(["linear", "extra_trees"], {"linear": {"penalty": 1.0}})]
    ['linear', 'extra_trees']
    """
    chosen = {candidate.name: candidate for candidate in _chosen(wanted)}
    for name, ranges in (spaces or {}).items():
        if name not in chosen:
            raise InputError(f"There are ranges for {name!r}, which is not tried. Tried are {', '.join(chosen)}.")
        chosen[name] = narrow(chosen[name], ranges)
    return tuple(chosen.values())


def _chosen(wanted: Sequence[str | Candidate] | None) -> list[Candidate]:
    if wanted is None:
        return [candidate for candidate in DEFAULT_CANDIDATES if _is_installed(candidate.name)]
    if not wanted:
        raise InputError(f"No candidate is given. Name some of {_names()}, or leave them out to try the usual ones.")
    chosen = [_named(one) if isinstance(one, str) else one for one in wanted]
    for candidate in chosen:
        _refuse_incomplete(candidate)
        _refuse_missing(candidate)
    return chosen


def _named(name: str) -> Candidate:
    for candidate in CANDIDATES:
        if candidate.name == name:
            return candidate
    raise InputError(f"There is no candidate {name!r}. Use one of {_names()}.")


def _names() -> str:
    return ", ".join(candidate.name for candidate in CANDIDATES)


def _refuse_incomplete(candidate: Any) -> None:
    """Raise InputError for what is no candidate, naming what it lacks."""
    if isinstance(candidate, type):
        name = candidate.__name__
        raise InputError(f"The candidate {name} is a class. Give an object of it: {name}().")
    lacking = [name for name in _NEEDED if not hasattr(candidate, name)]
    if lacking:
        raise InputError(
            f"The candidate {candidate!r} lacks {', '.join(lacking)}. "
            f"A candidate has {', '.join(_NEEDED)}; docs/candidates.md shows one."
        )
    if candidate.recipe not in get_args(Recipe):
        raise InputError(
            f"The candidate {candidate.name!r} reads the recipe {candidate.recipe!r}. Use one of "
            f"{', '.join(get_args(Recipe))}."
        )


def _refuse_missing(candidate: Candidate) -> None:
    if not _is_installed(candidate.name):
        extra = _EXTRAS[candidate.name]
        raise InputError(
            f"The candidate {candidate.name!r} needs the library {candidate.name}, which is not installed. "
            f"Run: pip install 'autopilot[{extra}]'"
        )


def _is_installed(name: str) -> bool:
    return name not in _EXTRAS or find_spec(name) is not None


__all__ = ["CANDIDATES", "DEFAULT_CANDIDATES", "Candidate", "choose"]

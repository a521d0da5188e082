"""A candidate whose parameters' ranges are narrower than its own: how a user says what to try."""

from collections.abc import Mapping
from typing import Any

from autopilot.candidates.candidate import Candidate, Fitted, Job, OutOfBag, Problem, Values
from autopilot.plan import Recipe
from autopilot.search.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Params,
    Space,
)
from storage.errors import InputError

#: Spaces may depend on the task: what some task has can be narrowed.
_TYPICAL = (Problem("binary", 2, 1000), Problem("multiclass", 3, 1000), Problem("regression", 1, 1000))


def narrowed(candidate: Candidate, ranges: Mapping[str, Any]) -> Candidate:
    """The same candidate with some parameters' ranges replaced.

    ranges: by the parameter's name: `(low, high)` is a range on the parameter's own scale, a list holds the choices, a
    single value fixes it; a `ContinuousParameter`, `IntegerParameter` or `CategoricalParameter` is taken as it is, and
    may go beyond what the candidate would try itself. Listed points are moved into the new ranges.

    Raises InputError for a parameter that the candidate does not have, and for values that it does not take.

    >>> from autopilot.candidates.linear import Linear
    >>> weak = narrowed(Linear(), {"penalty": (0.5, 50)})
    >>> weak.space(Problem("binary", 2, 100))["penalty"]
    ContinuousParameter(low=0.5, high=50.0, scale='logarithmic')
    >>> weak.points(Problem("binary", 2, 100))
    [{'penalty': 1.0}, {'penalty': 50.0}, {'penalty': 0.5}]
    """
    known: Space = {}
    for problem in _TYPICAL:
        known |= candidate.space(problem)
    replaced = {name: _parameter(candidate.name, known, name, wanted) for name, wanted in ranges.items()}
    return (_NarrowedOutOfBag if isinstance(candidate, OutOfBag) else _Narrowed)(candidate, replaced)


def clipped(params: Params, space: Space) -> Params:
    """The parameters of a space, each as it is given or as near to it as the space allows. All have to be given.

    >>> space = {"leaves": IntegerParameter(4, 31), "rate": ContinuousParameter(0.05, 0.2)}
    >>> clipped({"leaves": 64, "rate": 0.1, "other": 1}, space)
    {'leaves': 31, 'rate': 0.1}
    """
    return {name: _nearest(parameter, params[name]) for name, parameter in space.items()}


def _nearest(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, CategoricalParameter):
        return value if value in parameter.values else _nearest_choice(parameter.values, value)
    within = min(max(value, parameter.low), parameter.high)
    return round(within) if isinstance(parameter, IntegerParameter) else float(within)


def _nearest_choice(values: tuple[Any, ...], value: Any) -> Any:
    """The nearest number, or the first where not all are numbers."""
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in (*values, value)):
        return min(values, key=lambda one: abs(one - value))
    return values[0]


class _Narrowed:
    """A candidate, and what stands in place of its own parameters."""

    def __init__(self, candidate: Any, replaced: Space) -> None:
        self._candidate = candidate
        self._replaced = replaced

    @property
    def name(self) -> str:
        return self._candidate.name

    @property
    def recipe(self) -> Recipe:
        return self._candidate.recipe

    def applies(self, problem: Problem) -> bool:
        return self._candidate.applies(problem)

    def space(self, problem: Problem) -> Space:
        own: Space = self._candidate.space(problem)
        return {name: self._replaced.get(name, parameter) for name, parameter in own.items()}

    def points(self, problem: Problem) -> list[Params]:
        """Moved into the ranges, each once."""
        space = self.space(problem)
        found: list[Params] = []
        for point in self._candidate.points(problem):
            moved = clipped(point, space)
            if moved not in found:
                found.append(moved)
        return found

    def fit(self, job: Job) -> Fitted:
        return self._candidate.fit(job)


class _NarrowedOutOfBag(_Narrowed):
    """Of a candidate that is scored out of bag."""

    def fit_out_of_bag(self, job: Job) -> tuple[Fitted, Values]:
        return self._candidate.fit_out_of_bag(job)


def _parameter(candidate: str, known: Space, name: str, wanted: Any) -> Parameter:
    """What a user's words mean for a parameter."""
    if name not in known:
        names = ", ".join(known) or "none: there is nothing to choose"
        raise InputError(f"The candidate {candidate!r} has no parameter {name!r}. It has {names}.")
    own = known[name]
    if isinstance(wanted, Parameter):
        return wanted
    refusal = InputError(f"The parameter {name!r} of {candidate!r} was given {wanted!r}. It takes {_allowed(own)}.")
    values: list[Any] = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    if not values or not all(_takes(own, value) for value in values):
        raise refusal
    if not isinstance(wanted, tuple):
        return CategoricalParameter(tuple(dict.fromkeys(values)))
    if isinstance(own, CategoricalParameter) or len(values) != 2 or values[0] > values[1]:
        raise refusal
    if isinstance(own, IntegerParameter):
        return IntegerParameter(int(values[0]), int(values[1]), own.scale)
    return ContinuousParameter(float(values[0]), float(values[1]), own.scale)


def _takes(own: Parameter, value: Any) -> bool:
    """Whether the candidate would try the value itself."""
    if isinstance(own, CategoricalParameter):
        return any(type(value) is type(one) and value == one for one in own.values)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    is_whole = not isinstance(own, IntegerParameter) or float(value).is_integer()
    return is_whole and own.low <= value <= own.high


def _allowed(own: Parameter) -> str:
    if isinstance(own, CategoricalParameter):
        return f"{', '.join(repr(value) for value in own.values)}: one of them, or a list"
    kind = "whole numbers" if isinstance(own, IntegerParameter) else "numbers"
    return f"{kind} from {own.low:g} to {own.high:g}: one of them, a list, or a pair (low, high)"

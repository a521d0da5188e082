"""Ranges of parameters, in the field's words; `tpe.py` turns them into hyperopt's."""

from typing import Any, Literal

from msgspec import Struct

Scale = Literal["linear", "logarithmic"]


class ContinuousParameter(Struct, frozen=True):
    """A real number in low..high. Logarithmic ranges begin above 0."""

    low: float
    high: float
    scale: Scale = "linear"


class IntegerParameter(Struct, frozen=True):
    """A whole number in low..high, ends included."""

    low: int
    high: int
    scale: Scale = "linear"


class CategoricalParameter(Struct, frozen=True):
    """One of some values."""

    values: tuple[Any, ...]


Parameter = ContinuousParameter | IntegerParameter | CategoricalParameter
Space = dict[str, Parameter]
Params = dict[str, Any]

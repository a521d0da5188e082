"""A small table with nothing wrong, to which tests add one fault each."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import polars as pl

from autopilot.guardrails import Guarded, guard
from autopilot.table.findings import Finding
from autopilot.table.infer import Table, infer
from autopilot.table.roles import Roles

Kind = Literal["binary", "multiclass", "regression"]
KINDS: tuple[Kind, ...] = ("binary", "multiclass", "regression")
N = 1600


def clean(kind: Kind, rows: int = N, seed: int = 0) -> pl.DataFrame:
    """Numbers `a`, `b`, a whole one `c`, categories `town`, `job`, and `y`, which depends on all and on chance."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=rows), rng.exponential(size=rows), rng.integers(0, 12, rows)
    town, job = rng.integers(0, 6, rows), rng.integers(0, 3, rows)
    score = a + 0.7 * b + 0.2 * c + np.sin(town) + 0.5 * job + rng.normal(size=rows)
    return pl.DataFrame(
        {
            "a": a,
            "b": b,
            "c": c,
            "town": pl.Series([f"town {at}" for at in town]),
            "job": pl.Series([f"job {at}" for at in job]),
            "y": target_of(kind, score),
        }
    )


def target_of(kind: Kind, score: "np.ndarray[Any, np.dtype[np.float64]]") -> pl.Series:
    """A quantity, or its range: above the mean, or which third."""
    if kind == "regression":
        return pl.Series(100 * score - 7)
    if kind == "binary":
        return pl.Series(np.where(score > score.mean(), "yes", "no"))
    return pl.Series([f"grade {at}" for at in np.digitize(score, np.quantile(score, [1 / 3, 2 / 3]))])


def number(frame: pl.DataFrame) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """The target as numbers; of classes, their place."""
    values = frame.get_column("y")
    return (values if values.dtype.is_float() else values.rank("dense")).cast(pl.Float64).to_numpy()


def guarded(frame: pl.DataFrame, **options: Any) -> Guarded:
    """What is caught, however slow the machine."""
    return guard(read(frame), limit_s=600.0, **options)


def read(frame: pl.DataFrame, columns: Mapping[str, str] | None = None, roles: Roles | None = None) -> Table:
    """The table that is learnt from."""
    return infer(frame, "y", columns=columns, roles=roles or Roles())


def found(caught: Guarded, code: str, column: str | None = None) -> Finding:
    """The one finding of a code, and of a column if it is given."""
    [one] = [one for one in caught.findings if one.code == code and column in (None, one.column)]
    return one


def codes(caught: Guarded) -> set[str]:
    """What is told beyond an info."""
    return {one.code for one in caught.findings if one.severity != "info"}

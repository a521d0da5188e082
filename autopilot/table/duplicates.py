"""Columns that say what another column says already."""

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from storage.signature import Column


def duplicates(frame: pl.DataFrame, columns: Sequence[Column], kept: Collection[str]) -> dict[str, str]:
    """Reasons to drop columns that repeat an earlier one of their kind, but for those named in `kept`.

    frame: typed. Two columns repeat each other if they are equal in each row, missing values too; two categories also
    if each level of one goes with one level of the other. Columns are compared where their hashes are equal, so that
    3,000 of them take one pass.

    >>> frame = pl.DataFrame({"a": ["x", "y", None], "b": ["1", "2", None], "c": ["x", "x", None]})
    >>> duplicates(frame, [Column(name, "category", "String") for name in frame.columns], kept=())
    {'b': "has a level for each level of 'a'"}
    """
    if not columns:
        return {}
    found = _repeated(frame, columns, kept)
    categories = [column for column in columns if column.kind == "category" and column.name not in found]
    return found | _relabelled(frame, categories, kept)


def _repeated(frame: pl.DataFrame, columns: Sequence[Column], kept: Collection[str]) -> dict[str, str]:
    weights = pl.Series(np.random.default_rng(0).integers(2**63, size=frame.height, dtype=np.uint64))
    sums = frame.select((pl.all().hash() * weights).sum()).row(0)
    firsts: dict[tuple[str, int], list[str]] = {}
    found: dict[str, str] = {}
    for column, total in zip(columns, sums, strict=True):
        earlier = firsts.setdefault((column.kind, total), [])
        values = frame.get_column(column.name)
        same = next((name for name in earlier if values.equals(frame.get_column(name), null_equal=True)), None)
        if same is None or column.name in kept:
            earlier.append(column.name)
        else:
            found[column.name] = f"is the same as {same!r} in every row"
    return found


def _relabelled(frame: pl.DataFrame, columns: Sequence[Column], kept: Collection[str]) -> dict[str, str]:
    """Categories with the same counts of levels are compared: other ones cannot go with each other."""
    firsts: dict[tuple[int, ...], list[str]] = {}
    found: dict[str, str] = {}
    for column in columns:
        values = frame.get_column(column.name)
        counts = values.alias("level").value_counts().get_column("count").sort()
        earlier = firsts.setdefault(tuple(counts.to_list()), [])
        same = next((name for name in earlier if _go_together(frame, column.name, name, len(counts))), None)
        if same is None or column.name in kept:
            earlier.append(column.name)
        else:
            found[column.name] = f"has a level for each level of {same!r}"
    return found


def _go_together(frame: pl.DataFrame, left: str, right: str, levels: int) -> bool:
    same_rows = bool((frame.get_column(left).is_null() == frame.get_column(right).is_null()).all())
    return same_rows and frame.select(pl.struct(left, right).n_unique()).item() == levels

"""Cells: columns of which little is there, or little varies."""

from collections.abc import Iterator

import numpy as np

from autopilot.guardrails.caught import SHOWN, Caught, to_ignore
from autopilot.guardrails.sample import Sample
from autopilot.table.findings import Finding, Severity
from storage.errors import listed

#: The share of missing cells from which a column is told, and from which it is a warning.
_MISSING, _MOSTLY_MISSING = 0.5, 0.9
#: A column hardly varies if at most so many rows, or one, have another value than the rest; of so many rows at least.
_VARYING, _LEAST_ROWS = 0.001, 100


def missing(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Columns that are missing in most rows."""
    counts = sample.table.frame.null_count().row(0)
    height = sample.table.frame.height
    shares = {name: count / height for name, count in zip(sample.table.frame.columns, counts, strict=True)}
    mostly = [name for name, share in shares.items() if share >= _MOSTLY_MISSING]
    half = [name for name, share in shares.items() if _MISSING <= share < _MOSTLY_MISSING]
    if mostly:
        yield _told(sample, "warning", "mostly_missing", mostly, "nine tenths of rows or more", shares)
    if half:
        yield _told(sample, "info", "missing", half, "half of the rows or more", shares)


def _told(
    sample: Sample, severity: Severity, code: str, names: list[str], how_many: str, shares: dict[str, float]
) -> Caught:
    is_one = len(names) == 1
    message = f"{listed(names, SHOWN)} {'is' if is_one else 'are'} missing in {how_many}."
    known = [shares[name] for name in names]
    evidence = (
        f"{min(known):.1%} to {max(known):.1%} of cells are missing" if not is_one else f"{known[0]:.1%} of cells"
    )
    action = "That a cell is missing is a feature of its own."
    column = names[0] if is_one else None
    return Caught(Finding(severity, code, message, column, evidence, action, to_ignore(names)))


def constant(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Columns with the same value in nearly every row."""
    height = len(sample.rows)
    if height < _LEAST_ROWS:
        return
    varying = {name: _varying(sample, name) for name in sample.names if name not in gone}
    found = [name for name, rows in varying.items() if rows <= max(1.0, _VARYING * height)]
    if found:
        message = f"{listed(found, SHOWN)} hold{'s' if len(found) == 1 else ''} one value in nearly every row."
        evidence = f"{max(varying[name] for name in found):,} of {height:,} rows or fewer have another"
        column = found[0] if len(found) == 1 else None
        yield Caught(
            Finding("info", "nearly_constant", message, column, evidence, "Nothing was changed.", to_ignore(found))
        )


def _varying(sample: Sample, name: str) -> int:
    """Rows of the sample that have another value than the most frequent one, or none."""
    height = len(sample.rows)
    if np.bincount(sample.codes[name])[1:].max(initial=0) < height / 2:
        return height
    counts = sample.frame.get_column(name).drop_nulls().alias("value").value_counts().get_column("count")
    return height - int(counts.to_numpy().max(initial=0))

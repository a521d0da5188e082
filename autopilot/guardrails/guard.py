"""All checks in their order, what they caught, and the table after it.

target.py, cells.py    what little can be learnt from
leaks.py               columns that hold the answer
identifiers.py         numbers that were handed out
twins.py               rows that are equal
order.py               rows, and times, that tell by their order
pairs.py               two columns that hold the answer
aggregates.py          means of the target
entities.py            rows that belong together
"""

from collections.abc import Callable, Collection, Iterator

from msgspec import Struct
from msgspec.structs import replace

from autopilot.deadline import Deadline
from autopilot.guardrails import aggregates, cells, entities, identifiers, leaks, order, pairs, target, twins
from autopilot.guardrails.caught import Caught
from autopilot.guardrails.sample import Sample
from autopilot.table.findings import Finding, Severity
from autopilot.table.infer import Table, names_of
from autopilot.table.roles import read_groups, read_times
from storage.signature import Dropped

Check = Callable[[Sample, frozenset[str]], Iterator[Caught]]

#: What is looked for, cheap things first: where the time is up, the last ones are not.
CHECKS: dict[str, Check] = {
    "rare classes": target.classes,
    "outliers": target.values,
    "few rows": target.few_rows,
    "missing cells": cells.missing,
    "constant columns": cells.constant,
    "identifiers": identifiers.identifiers,
    "equal rows": twins.twins,
    "the order of rows": order.row_order,
    "leaks": leaks.leaks,
    "missing cells that tell": leaks.missing_tells,
    "means of the target": aggregates.means,
    "leaks by pairs": pairs.pairs,
    "leaks within groups": aggregates.lines,
    "groups": entities.entities,
    "times": order.time_order,
}
#: What each column takes at least, until the first checks are done.
_COLUMN_S = 0.0003
_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class Guarded(Struct, frozen=True):
    """What the checks caught in a table, and what follows from it: plain data, to be written down and done again.

    findings: errors first. left_out: columns that are not to be learnt from. group, time: the column that is to divide
    the rows. together: whether rows that are equal are to stay on one side.
    """

    findings: tuple[Finding, ...]
    left_out: tuple[Dropped, ...] = ()
    group: str | None = None
    time: str | None = None
    together: bool = False

    def applied(self, table: Table) -> Table:
        """The table that was guarded, as it is to be learnt from; of another one, so far as it has the same columns."""
        names, groups, times = table.signature.names, table.groups, table.times
        gone = [drop for drop in self.left_out if drop.name in names]
        if self.group in names:
            groups, _ = read_groups(table.frame.get_column(self.group))
        elif self.together:
            groups = twins.equal_rows(table.frame.drop(drop.name for drop in gone))
        if self.time in names:
            values = table.frame.get_column(self.time)
            times, _ = read_times(values, values.is_not_null().arg_true(), {})
        if self.group in names:
            gone.append(Dropped(self.group, "says which rows belong together"))
        return replace(_without(table, gone), findings=(*self.findings, *table.findings), groups=groups, times=times)


def guard(table: Table, *, kept: str | Collection[str] = (), seed: int = 0, limit_s: float = 2.0) -> Guarded:
    """Look at a table before anything is trained on it.

    kept: columns that the user gave a kind or a role: they are looked at, but stay, and divide no rows. Rows that the
    user divided by groups or times stay divided so. limit_s: after so long, no further check begins, and a finding
    tells which; one that fails is told, too, and changes nothing. The same table, seed and limit give the same, if the
    time suffices. Weights of rows are not looked at.

    >>> import polars as pl
    >>> from autopilot.table.infer import infer
    >>> rows = [(number % 7, number % 5, (number % 7 + number % 5 + number % 3) > 5) for number in range(2000)]
    >>> frame = pl.DataFrame(rows, schema=["a", "b", "y"], orient="row").with_columns(
    ...     paid=pl.col("y") * 20 + pl.col("a")
    ... )
    >>> guarded = guard(infer(frame, "y"), limit_s=60)
    >>> [drop.name for drop in guarded.left_out]
    ['paid']
    """
    if limit_s < _COLUMN_S * len(table.signature.columns):
        return _summed([], _told_skipped(["anything"], limit_s))
    deadline = Deadline.after(limit_s)
    sample = Sample(table, names_of(kept), seed, limit_s)
    caught: list[Caught] = []
    skipped: list[str] = []
    for name, check in CHECKS.items():
        if deadline.passed:
            skipped.append(name)
        else:
            caught += _tried(name, check, sample, frozenset(gone for one in caught for gone in one.left_out))
    return _summed(caught, _told_skipped(skipped, limit_s) if skipped else None)


def _tried(name: str, check: Check, sample: Sample, gone: frozenset[str]) -> list[Caught]:
    """What a check catches; that it failed, if it does: a table is not refused because of it."""
    try:
        return [*check(sample, gone)]
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a check, the table can be learnt from
        told = "" if sample.table.signature.has_sensitive else f": {error}"
        message = f"The check of {name} failed: {type(error).__name__}{told}"
        return [Caught(Finding("warning", "check_failed", message[:500], None, "", "It changed nothing."))]


def _summed(caught: list[Caught], skipped: Finding | None) -> Guarded:
    """Everything that was caught as one. A group divides rows before a time, and either before equal rows."""
    group = next((one.group for one in caught if one.group is not None), None)
    time = next((one.time for one in caught if one.time is not None), None) if group is None else None
    told = [_settled(one, group or time) for one in caught]
    gone = {name for one in caught for name in one.left_out}
    found = [one for one in (*told, skipped) if one is not None and not _is_idle(one, gone)]
    return Guarded(
        tuple(sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity))),
        tuple(Dropped(name, _REASONS[one.finding.code]) for one in caught for name in one.left_out),
        group,
        time,
        together=group is None and time is None and any(one.together for one in caught),
    )


def _is_idle(finding: Finding, gone: set[str]) -> bool:
    """Whether it is only good to know, of a column that is left out anyway."""
    return finding.severity == "info" and finding.column in gone


def _settled(one: Caught, by: str | None) -> Finding | None:
    """The finding, as rows are divided in the end. by: the column that divides them; it explains their order."""
    if by is None or by in (one.group, one.time):
        return one.finding
    if one.finding.code == "row_order":
        return None
    if one.together or one.time is not None:
        overrule = f"To divide rows in time: time={one.time!r}." if one.time is not None else ""
        return replace(one.finding, action=f"Rows are divided by {by!r}.", overrule=overrule)
    return one.finding


#: Of columns that are left out, by the code of the finding.
_REASONS = {
    "leak": "tells nearly all of the target alone, as if it were known only afterwards",
    "leak_missing": "is missing or not as the target is, as if it were known only afterwards",
    "leak_pair": "gives the target together with another column",
    "leak_mean": "is a mean of the target",
    "leak_within": "was computed from the target",
    "identifier": "is a number of its own for each row",
}


def _told_skipped(names: list[str], limit_s: float) -> Finding:
    message = f"Not looked for within {limit_s:.1f} s: {', '.join(names)}."
    return Finding("info", "skipped", message, None, "", "", "A larger budget leaves more time.")


def _without(table: Table, gone: list[Dropped]) -> Table:
    if not gone:
        return table
    names = {drop.name for drop in gone}
    signature = replace(
        table.signature,
        columns=tuple(column for column in table.signature.columns if column.name not in names),
        dropped=(*table.signature.dropped, *(_with_path(table, drop) for drop in gone)),
    )
    return replace(table, signature=signature, frame=table.frame.drop(names))


def _with_path(table: Table, drop: Dropped) -> Dropped:
    """With the place of a value in a struct or list column, and whether it may be told."""
    column = next(column for column in table.signature.columns if column.name == drop.name)
    return replace(drop, path=column.path, sensitive=column.sensitive)

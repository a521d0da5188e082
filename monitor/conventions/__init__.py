"""What other products would say of the same two tables: their drift verdicts, by name and exactly.

What lives here: one file for each product's rule with its defaults, and `measures.py` for any single distance with a
threshold. What may not: any promise. These rules keep no false-alarm rate; they are here for who moves from such a
product, or has to report by it. `calibrated.py` is what we stand for.

Start reading at `evidently.py`. Each rule is a function from columns to findings; `level` plays no part in it.

Decisions:
    Each rule is held against the product itself: `tests/monitor/goldens/` has what Evidently 0.7.23 and NannyML 0.13.1
    say of the same tables, and the scripts that asked them. Deequ needs a Java machine, so it is held against its
    formulas and its own tests' numbers.
    A product's guesses belong to its verdict: a convention gets columns as they came (`column.py`), and what is a
    number or a category it decides as the product does, unless whoever compares said it.
    Where a product gives up on the whole report, here one column has no verdict, and its note says so.
"""

from collections.abc import Callable, Sequence

from monitor.calibrated import Finding
from monitor.conventions.column import Column, attempted, effect_of
from monitor.conventions.evidently import DRIFTED_SHARE, evidently
from monitor.conventions.measures import MEASURES, measured
from monitor.conventions.nannyml import nannyml, nannyml_window
from monitor.conventions.sagemaker import sagemaker_robust, sagemaker_simple
from storage.errors import SettingError

#: Each product's rule by its name.
CONVENTIONS: dict[str, Callable[[Sequence[Column]], list[Finding]]] = {
    "evidently": evidently,
    "nannyml": nannyml,
    "nannyml-window": nannyml_window,
    "sagemaker-robust": sagemaker_robust,
    "sagemaker-simple": sagemaker_simple,
}

#: The share of compared columns that makes a table drift, for rules that say so; elsewhere one column is enough.
DRIFTED_SHARES: dict[str, float] = {"evidently": DRIFTED_SHARE}

#: All that `judged` takes.
NAMES = (*CONVENTIONS, *MEASURES)

__all__ = ["CONVENTIONS", "DRIFTED_SHARES", "MEASURES", "NAMES", "Column", "judged", "table_drifted"]


def judged(
    name: str, columns: Sequence[Column], level: float, threshold: float | None = None, bins: int | None = None
) -> list[Finding]:
    """Each column's verdict by a product's rule or by a single measure, a name of `NAMES`.

    level, threshold, bins: as `measured` has them; a product's rule takes none of them. Where a rule has no effect of
    its own, from 0 to 1, the finding has that of `effect_of`: columns are ranked by it.

    Raises SettingError for a threshold or bins that make no sense, and where a rule takes none.
    """
    if name in MEASURES:
        findings = measured(columns, level, name, threshold, bins)
    elif threshold is not None or bins is not None:
        raise SettingError(
            f"{name!r} has thresholds and bins of its own. Leave them out, or take a measure: {_measures()}."
        )
    else:
        findings = [attempted(lambda column: CONVENTIONS[name]([column])[0], column) for column in columns]
    return [
        attempted(lambda column, finding=finding: _with_effect(column, finding), column)
        for column, finding in zip(columns, findings, strict=True)
    ]


def table_drifted(name: str, findings: Sequence[Finding]) -> bool:
    """Whether the table has drifted: one column is enough, unless a rule asks for a share of those it compared.

    >>> found = Finding("L-infinity", 0.2, None, None, 0.1, drifted=True)
    >>> others = [found._replace(drifted=False)] * 2
    >>> table_drifted("sagemaker-simple", [found, *others]), table_drifted("evidently", [found, *others])
    (True, False)
    """
    drifted = sum(finding.drifted for finding in findings)
    compared = sum(finding.statistic is not None for finding in findings)
    return drifted > 0 and drifted >= DRIFTED_SHARES.get(name, 0.0) * compared


def _with_effect(column: Column, finding: Finding) -> Finding:
    if finding.statistic is None or finding.effect is not None:
        return finding
    return finding._replace(effect=effect_of(column.pair))


def _measures() -> str:
    return ", ".join(MEASURES)

"""Which drift matters first: columns by the harm that their drift is likely to do.

    harm = importance × drift × loss

importance: the share of what the model looks at that is this column, such as `attribution.importances` gives. drift:
the effect of the column's drift, 0 to 1, or 0 where it has not drifted, for what chance explains does no harm. loss: by
how much the model is estimated to have got worse, in its metric's unit; the same for all columns, so it says how much
and never which. Where nobody has estimated it, it is left out and said so.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from monitor.charts import number, percent
from monitor.drift import ColumnDrift


class Loss(Struct, frozen=True):
    """How much worse the model is estimated to have become.

    metric: of which; amount: in its unit, more is worse; at most 0 where it has not got worse.
    """

    metric: str
    amount: float


class Harm(Struct, frozen=True):
    """The likely harm of one column's drift.

    importance: 0 to 1 over all columns; None where nobody knows it, as of the model's outputs. drift: 0 to 1; None of
    a column that was not tested. harm: their product, with the loss where there is one; None where a factor is unknown.
    words: the same for people.
    """

    column: str
    importance: float | None
    drift: float | None
    harm: float | None
    words: str


class HarmRanking(Struct, frozen=True):
    """Columns by likely harm, the worst first; then those that drifted and whose harm is unknown; then the others.

    loss: what was multiplied by, if anything. note: what is not in it.
    """

    columns: tuple[Harm, ...]
    loss: Loss | None
    note: str


def rank_harm(
    columns: Sequence[ColumnDrift], importances: Mapping[str, float], loss: Loss | None = None
) -> HarmRanking:
    """The columns of a drift report by the harm that they are likely to do.

    importances: by column, 0 and more; what they sum to does not matter. A column without one, such as a prediction, is
    ranked behind those with one that drifted.

    >>> from monitor import compare
    >>> import polars as pl
    >>> ages = pl.Series([number * 389 % 1000 for number in range(1000)])
    >>> reference = pl.DataFrame({"age": ages, "town": ["Ulm", "Bonn"] * 500})
    >>> current = pl.DataFrame({"age": ages + 300, "town": ["Rome", "Bonn"] * 500})
    >>> ranking = rank_harm(compare(reference, current).columns, {"age": 3.0, "town": 1.0}, Loss("roc_auc", 0.04))
    >>> for one in ranking.columns:
    ...     print(one.column, round(one.harm, 4), one.words)
    age 0.009 75% of what the model looks at, with a drift of 30%; its part of an estimated loss of 0.04 roc_auc.
    town 0.005 25% of what the model looks at, with a drift of 50%; its part of an estimated loss of 0.04 roc_auc.
    """
    total = sum(amount for amount in importances.values() if amount > 0)
    shares = {name: max(amount, 0.0) / total for name, amount in importances.items()} if total > 0 else {}
    found = [_harm(column, shares.get(column.name), loss) for column in columns]
    drifted = {column.name for column in columns if column.drifted}
    ranked = sorted(
        found,
        key=lambda one: (
            one.column not in drifted,
            one.harm is None,
            -(one.harm or 0.0),
            -(one.importance or 0.0) * (one.drift or 0.0),
            -(one.drift or 0.0),
            -(one.importance or 0.0),
        ),
    )
    return HarmRanking(tuple(ranked), loss, _note(bool(shares), loss))


def _harm(column: ColumnDrift, importance: float | None, loss: Loss | None) -> Harm:
    drift = (column.effect or 0.0) * column.drifted if column.tested or column.drifted else None
    factor = 1.0 if loss is None else max(loss.amount, 0.0)
    harm = None if importance is None or drift is None else importance * drift * factor
    return Harm(column.name, importance, drift, harm, _words(column, importance, drift, loss))


def _words(column: ColumnDrift, importance: float | None, drift: float | None, loss: Loss | None) -> str:
    if importance is None:
        return "Not tested." if drift is None else f"A drift of {percent(drift)}." if drift else "No drift was found."
    looks = percent(importance)
    if drift is None:
        return f"{looks} of what the model looks at; not tested."
    if not column.drifted:
        return f"{looks} of what the model looks at; no drift was found."
    told = f"{looks} of what the model looks at, with a drift of {percent(drift)}"
    if loss is None or loss.amount <= 0:
        return f"{told}."
    return f"{told}; its part of an estimated loss of {number(loss.amount)} {loss.metric}."


def _note(is_known: bool, loss: Loss | None) -> str:
    if not is_known:
        return "Nobody knows which columns the model looks at, so columns are ranked by drift alone."
    if loss is None:
        return "Harm is importance × drift: no loss has been estimated."
    if loss.amount <= 0:
        return f"By the estimate {loss.metric} has not got worse, so no harm is seen; order is by importance × drift."
    return f"Harm is importance × drift × an estimated loss of {number(loss.amount)} {loss.metric}."

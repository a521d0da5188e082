"""Leases: what waits in a table belongs to one process for so long; another may take it when that is over."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, select, update


def take_first(
    connection: Connection,
    table: Table,
    waits: ColumnElement[bool],
    by: Column[Any],
    owner: str,
    until: datetime,
    *,
    attempts: str = "attempts",
    **changes: Any,
) -> dict[Any, Any] | None:
    """Take the first row that waits, by a column and then by id; None where there is none.

    It is the owner's until a time, and its attempts, in a column of that name, count one more. changes: of other
    columns. For whoever may write, as one does at a time. Returns the row as it is then.
    """
    query = select(table).where(waits).order_by(by, table.c.id).limit(1)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    taken = {"owner": owner, "lease_until": until, attempts: row[attempts] + 1, **changes}
    connection.execute(update(table).where(table.c.id == row["id"]).values(taken))
    return {**row, **taken}

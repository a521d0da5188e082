"""The records of ground truth."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    type_coerce,
)

from storage.database import Database, record_of
from storage.errors import ConflictError, InputError
from storage.labels.items import NewLabel
from storage.records import Label
from storage.tables import Moment, labels

if TYPE_CHECKING:
    import polars as pl

_CHUNK = 10_000
_SHOWN = 80

#: Where labels are gathered before any is kept. number: the how manieth it was. label: JSON, as in `labels`.
_incoming = Table(
    "incoming_labels",
    MetaData(),
    Column("number", Integer, primary_key=True),
    Column("inference_id", String, nullable=False),
    Column("row", Integer, nullable=False),
    Column("label", Text, nullable=False),
    Column("happened_at", BigInteger, nullable=False),
    prefixes=["TEMPORARY"],
)
Index("incoming_labels_by_key", _incoming.c.inference_id, _incoming.c.row, _incoming.c.number)
_as_text = type_coerce(labels.c.label, Text)


class Counts(NamedTuple):
    """What became of labels. same: that were there already, or twice in one call."""

    new: int
    same: int
    replaced: int


class Labels:
    """Label records; one for each row of a request to an endpoint."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, endpoint: str, items: Iterable[NewLabel], now: datetime, *, replace: bool = False) -> Counts:
        """Keep all of these labels, or none; they are read as they are written, and take no memory.

        Raises ConflictError for the first row that has another label, unless `replace` is set, and InputError if a row
        has two labels among the items themselves. What `items` raises, it raises, and keeps nothing.
        """
        with self._database.write(prepare=lambda connection: _gather(connection, items)) as connection:
            counts = _counts(connection, endpoint)
            if counts.replaced and not replace:
                raise _conflict(connection, endpoint)
            if counts.replaced:
                different = exists().where(_is_same_row(endpoint), _as_text != _incoming.c.label)
                connection.execute(delete(labels).where(labels.c.endpoint == endpoint, different))
            connection.execute(_copying(endpoint, now))
            _incoming.drop(connection)
        return counts

    def list(
        self, endpoint: str, *, inference_id: str | None = None, limit: int = 100, after: tuple[str, int] | None = None
    ) -> list[Label]:
        """Labels by inference id and row. after: those of the last one seen. Raises InputError for a limit below 1."""
        if limit < 1:
            raise InputError(f"The limit is {limit}. Use 1 or more.")
        query = select(labels).where(labels.c.endpoint == endpoint).order_by(labels.c.inference_id, labels.c.row)
        if inference_id is not None:
            query = query.where(labels.c.inference_id == inference_id)
        if after is not None:
            same_id = and_(labels.c.inference_id == after[0], labels.c.row > after[1])
            query = query.where((labels.c.inference_id > after[0]) | same_id)
        with self._database.read() as connection:
            return [record_of(Label, row) for row in connection.execute(query.limit(limit)).mappings().all()]

    def count(self, endpoint: str) -> int:
        """How many an endpoint has."""
        with self._database.read() as connection:
            query = select(func.count()).select_from(labels).where(labels.c.endpoint == endpoint)
            return int(connection.execute(query).scalar() or 0)

    def frame(self, endpoint: str, ids: Sequence[str]) -> "pl.DataFrame":
        """Labels of these inference ids: `inference_id`, `row` (Int32), `label` (String: JSON), `happened_at` and
        `received_at`."""
        import polars as pl

        rows: list[tuple[str, int, str, int, int]] = []
        happened, received = (type_coerce(labels.c[name], BigInteger) for name in ("happened_at", "received_at"))
        columns = (labels.c.inference_id, labels.c.row, _as_text, happened, received)
        with self._database.read() as connection:
            for some in _chunks(ids):
                query = select(*columns).where(labels.c.endpoint == endpoint, labels.c.inference_id.in_(some))
                rows += [(row[0], row[1], row[2], row[3], row[4]) for row in connection.execute(query)]
        moments = dict.fromkeys(("happened_at", "received_at"), pl.Int64)
        schema = {"inference_id": pl.String, "row": pl.Int32, "label": pl.String, **moments}
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        return frame.with_columns(pl.col(*moments).cast(pl.Datetime("us", "UTC")))


def _chunks(items: "Iterable[str]") -> Iterator[list[str]]:
    left = iter(items)
    while some := list(islice(left, _CHUNK)):
        yield some


def _gather(connection: Connection, items: Iterable[NewLabel]) -> None:
    """Write items into the temporary table, once each. Nobody waits for it: it is this connection's own."""
    connection.exec_driver_sql("BEGIN")
    try:
        _incoming.drop(connection, checkfirst=True)
        _incoming.create(connection)
        left, number = iter(items), 0
        while some := list(islice(left, _CHUNK)):
            connection.execute(insert(_incoming), [_values(number + at, item) for at, item in enumerate(some)])
            number += len(some)
        _refuse_two(connection)
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _values(number: int, item: NewLabel) -> dict[str, str | int]:
    return {
        "number": number,
        "inference_id": item.inference_id,
        "row": item.row,
        "label": msgspec.json.encode(item.label).decode(),
        "happened_at": item.happened_us,
    }


def _refuse_two(connection: Connection) -> None:
    """Raise InputError if a row has two labels."""
    columns = _incoming.c
    query = (
        select(columns.inference_id, columns.row, func.min(columns.number))
        .group_by(columns.inference_id, columns.row)
        .having(func.min(columns.label) != func.max(columns.label))
        .order_by(func.min(columns.number))
    )
    found = connection.execute(query.limit(1)).first()
    if found is None:
        return
    name, row, _ = found
    both = (
        select(columns.label)
        .where(columns.inference_id == name, columns.row == row)
        .group_by(columns.label)
        .order_by(func.min(columns.number))
    )
    one, other = connection.execute(both.limit(2)).scalars()
    raise InputError(
        f"Row {row} of inference {name[:_SHOWN]!r} is labelled twice, {one} and {other}. Send one label for each row; "
        "none was kept."
    )


def _is_same_row(endpoint: str) -> ColumnElement[bool]:
    return and_(
        labels.c.endpoint == endpoint,
        labels.c.inference_id == _incoming.c.inference_id,
        labels.c.row == _incoming.c.row,
    )


def _is_first() -> ColumnElement[bool]:
    """Whether an item is the first of its row, and not a repetition."""
    other = _incoming.alias("other")
    is_same = and_(other.c.inference_id == _incoming.c.inference_id, other.c.row == _incoming.c.row)
    return _incoming.c.number == select(func.min(other.c.number)).where(is_same).scalar_subquery()


def _counts(connection: Connection, endpoint: str) -> Counts:
    old = _as_text
    query = (
        select(
            func.count(),
            func.count(old),
            func.count(case((old != _incoming.c.label, 1))),
            select(func.count()).select_from(_incoming).scalar_subquery(),
        )
        .select_from(_incoming.outerjoin(labels, _is_same_row(endpoint)))
        .where(_is_first())
    )
    rows, there, replaced, items = connection.execute(query).one()
    return Counts(rows - there, items - rows + there - replaced, replaced)


def _conflict(connection: Connection, endpoint: str) -> ConflictError:
    query = (
        select(_incoming.c.inference_id, _incoming.c.row, _as_text, _incoming.c.label)
        .select_from(_incoming.join(labels, _is_same_row(endpoint)))
        .where(_as_text != _incoming.c.label)
        .order_by(_incoming.c.number)
    )
    name, row, old, new = connection.execute(query.limit(1)).one()
    return ConflictError(
        f"Row {row} of inference {name[:_SHOWN]!r} has the label {old[:_SHOWN]}, and {new[:_SHOWN]} was sent. "
        "Correct it, or say that labels are to be replaced; none was kept."
    )


def _copying(endpoint: str, now: datetime) -> Insert:
    """All that is new from the temporary table."""
    columns = _incoming.c
    wanted = (
        select(
            literal(endpoint),
            columns.inference_id,
            columns.row,
            columns.label,
            columns.happened_at,
            literal(now, Moment()),
        )
        .where(_is_first(), ~exists().where(_is_same_row(endpoint)))
        .order_by(columns.inference_id, columns.row)
    )
    return insert(labels).from_select([column.name for column in labels.columns], wanted)

"""The tables of the database: one for each record of `records.py`, with the same names.

A change here needs a migration in `migrations/versions/`, and `HEAD` below moves with it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

from storage import records
from storage.signature import Signature

#: The newest migration; a store with another one was written by another version.
HEAD = "0003"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """An aware datetime in UTC as microseconds since 1970: sorts, and is the same in each database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Datetime to microseconds."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Microseconds to datetime."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Json(TypeDecorator[Any]):
    """A struct, tuple or dictionary as JSON text, checked against its type when read."""

    impl = Text
    cache_ok = True

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.of = of

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Value to JSON."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """JSON to value."""
        return None if value is None else msgspec.json.decode(value, type=self.of)


metadata = MetaData()

experiments = Table(
    "experiments",
    metadata,
    Column("name", String, primary_key=True),
    Column("created_at", Moment, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("experiment", String, nullable=False, index=True),
    Column("status", String, nullable=False),
    Column("data", Text, nullable=False),
    Column("data_digest", String, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("target", Text, nullable=False),
    Column("task", String, nullable=False),
    Column("metric", String, nullable=False),
    Column("budget_s", Float, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
    Column("ended_at", Moment),
    Column("model", String),
    Column("version", Integer),
    Column("reason", Text),
    ForeignKeyConstraint(["experiment"], ["experiments.name"]),
)

trials = Table(
    "trials",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("candidate", String, nullable=False),
    Column("params", Json(dict[str, Any]), nullable=False),
    Column("status", String, nullable=False),
    Column("score", Float),
    Column("fold_scores", Json(tuple[float, ...]), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("rounds", Integer, nullable=False),
    Column("reason", Text),
    Column("test_score", Float),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
)

events = Table(
    "events",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("kind", String, nullable=False),
    Column("body", Text, nullable=False),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
)

models = Table(
    "models",
    metadata,
    Column("name", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("reference_digest", String, nullable=False),
    Column("signature", Json(Signature), nullable=False),
    Column("card", Json(records.Card), nullable=False),
    Column("created_at", Moment, nullable=False),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("name", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("capture", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    ForeignKeyConstraint(["model", "version"], ["models.name", "models.version"]),
)

reports = Table(
    "reports",
    metadata,
    Column("id", String, primary_key=True),
    Column("endpoint", String, nullable=False, index=True),
    Column("model", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("window_start", Moment, nullable=False),
    Column("window_end", Moment, nullable=False),
    Column("verdict", String, nullable=False),
    Column("drifted", Boolean, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("json_digest", String, nullable=False),
    Column("html_digest", String, nullable=False),
    Column("created_at", Moment, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("endpoint", String, primary_key=True),
    Column("cron", String, nullable=False),
    Column("level", Float, nullable=False),
    Column("created_at", Moment, nullable=False),
    ForeignKeyConstraint(["endpoint"], ["endpoints.name"]),
)

executions = Table(
    "executions",
    metadata,
    Column("endpoint", String, primary_key=True),
    Column("scheduled_at", Moment, primary_key=True),
    Column("status", String, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("report_id", String),
    Column("reason", Text),
)

__all__ = [
    "HEAD",
    "endpoints",
    "events",
    "executions",
    "experiments",
    "metadata",
    "models",
    "reports",
    "runs",
    "schedules",
    "trials",
]

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
    Index,
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
HEAD = "0004"

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

aliases = Table(
    "aliases",
    metadata,
    Column("model", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("updated_at", Moment, nullable=False),
    ForeignKeyConstraint(["model", "version"], ["models.name", "models.version"]),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("name", String, primary_key=True),
    Column("variants", Json(tuple[records.Variant, ...]), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("shadows", Json(tuple[records.Variant, ...]), nullable=False),
    Column("capture", Json(records.CapturePolicy), nullable=False),
    Column("limits", Json(records.EndpointLimits), nullable=False),
    Column("provider", String, nullable=False),
)

servers = Table(
    "servers",
    metadata,
    Column("id", String, primary_key=True),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("serving", Json(dict[str, records.Serving]), nullable=False),
    Column("url", String),
)

monitors = Table(
    "monitors",
    metadata,
    Column("id", String, primary_key=True),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", String, primary_key=True),
    Column("endpoint", String, nullable=False, index=True),
    Column("status", String, nullable=False),
    Column("strategy", String, nullable=False),
    Column("share", Float, nullable=False),
    Column("wait_s", Float, nullable=False),
    Column("alpha", Float, nullable=False),
    Column("guards", Json(tuple[records.Guard, ...]), nullable=False),
    Column("before", Json(tuple[records.Variant, ...]), nullable=False),
    Column("after", Json(tuple[records.Variant, ...]), nullable=False),
    Column("step", Integer, nullable=False),
    Column("step_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("reason", Text),
    Column("revision", Integer, nullable=False),
    Column("minimum", Integer, nullable=False),
    Column("measured", Json(records.Measured)),
    Column("progress", Json(records.RolloutProgress)),
    Column("owner", String),
    Column("lease_until", Moment),
)

tallies = Table(
    "tallies",
    metadata,
    Column("subject", String, primary_key=True),
    Column("server_id", String, primary_key=True),
    Column("variant", String, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("body", Text, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    Column("endpoint", String, primary_key=True),
    Column("inference_id", String, primary_key=True),
    Column("row", Integer, primary_key=True),
    Column("label", Json(str | int | float), nullable=False),
    Column("happened_at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False, index=True),
    Column("spec", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("progress", Text),
    Column("result", Text),
    Column("owner", String),
    Column("lease_until", Moment),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("reason", Text),
)

async_invocations = Table(
    "async_invocations",
    metadata,
    Column("id", String, primary_key=True),
    Column("endpoint", String, nullable=False),
    Column("inference_id", String, nullable=False),
    Column("status", String, nullable=False),
    Column("request", Text, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("input_digest", String),
    Column("reply", Text),
    Column("output_digest", String),
    Column("failure_digest", String),
    Column("webhook", Text),
    Column("webhook_status", String, index=True),
    Column("webhook_attempts", Integer, nullable=False),
    Column("webhook_due_at", Moment),
    Column("webhook_reason", Text),
    Column("owner", String),
    Column("lease_until", Moment),
    Column("ended_at", Moment),
    Column("reason", Text),
    Index("ix_async_invocations_due", "status", "due_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String, primary_key=True),
    Column("request_digest", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
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
    Column("check", String, nullable=False),
    Column("breached", Boolean),
    Column("markdown_digest", String),
)

baselines = Table(
    "baselines",
    metadata,
    Column("endpoint", String, primary_key=True),
    Column("source", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("kept_at", Moment, nullable=False),
    ForeignKeyConstraint(["endpoint"], ["endpoints.name"]),
)

profiles = Table(
    "profiles",
    metadata,
    Column("endpoint", String, primary_key=True),
    Column("variant", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("baseline", String, primary_key=True),
    Column("hour", Moment, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    Column("digest", String, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", String, primary_key=True),
    Column("endpoint", String, nullable=False, index=True),
    Column("cron", String, nullable=False),
    Column("level", Float, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("check", String, nullable=False),
    Column("variant", String),
    Column("zone", String, nullable=False),
    Column("missed", String, nullable=False),
    Column("start_offset", String),
    Column("end_offset", String),
    Column("paused", Boolean, nullable=False),
    Column("alert", Json(records.AlertRule), nullable=False),
    Column("facets", Json(tuple[str, ...]), nullable=False),
    Column("budget", String),
    ForeignKeyConstraint(["endpoint"], ["endpoints.name"]),
)

executions = Table(
    "executions",
    metadata,
    Column("schedule", String, primary_key=True),
    Column("scheduled_at", Moment, primary_key=True),
    Column("status", String, nullable=False, index=True),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("report_id", String, index=True),
    Column("reason", Text),
    Column("asked", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("owner", String),
    Column("lease_until", Moment),
    Column("window_start", Moment),
    Column("window_end", Moment),
    Column("verdict", String),
    Column("breached", Boolean),
    Column("removed", Boolean, nullable=False),
)

alert_changes = Table(
    "alert_changes",
    metadata,
    Column("schedule", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("endpoint", String, nullable=False),
    Column("check", String, nullable=False),
    Column("at", Moment, nullable=False),
    Column("state", String, nullable=False),
    Column("scheduled_at", Moment, nullable=False),
    Column("bad", Integer, nullable=False),
    Column("datapoints", Integer, nullable=False),
    Column("of", Integer, nullable=False),
    Column("report_id", String, index=True),
    Column("window_start", Moment),
    Column("window_end", Moment),
    Column("sentence", Text, nullable=False),
    Column("columns", Json(tuple[records.FoundColumn, ...]), nullable=False),
)

channels = Table(
    "channels",
    metadata,
    Column("name", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("target", Json(tuple[str, ...]), nullable=False),
    Column("states", Json(tuple[records.AlertState, ...]), nullable=False),
    Column("timeout_s", Float, nullable=False),
    Column("created_at", Moment, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String, primary_key=True),
    Column("schedule", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("channel", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", String, nullable=False, index=True),
    Column("due_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("owner", String),
    Column("lease_until", Moment),
    Column("ended_at", Moment),
    Column("reason", Text),
)

__all__ = [
    "HEAD",
    "alert_changes",
    "aliases",
    "async_invocations",
    "baselines",
    "channels",
    "deliveries",
    "endpoints",
    "events",
    "executions",
    "experiments",
    "idempotency_keys",
    "jobs",
    "labels",
    "metadata",
    "models",
    "monitors",
    "profiles",
    "reports",
    "rollouts",
    "runs",
    "schedules",
    "servers",
    "tallies",
    "trials",
]

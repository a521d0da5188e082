"""Endpoints have variants, and what is done with them is recorded: servers, roll-outs, labels, jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make each endpoint's one version its main variant, and add the tables."""
    # Schedules refer to endpoints, whose table is made anew: SQLite counts the one that is dropped as a violation that
    # is never mended, so they are set aside meanwhile.
    op.execute("CREATE TABLE old_schedules AS SELECT * FROM schedules")
    op.drop_table("schedules")
    op.create_table(
        "new_endpoints",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("variants", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("shadows", sa.Text, nullable=False),
        sa.Column("capture", sa.Text, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("provider", sa.String, nullable=False),
    )
    op.execute(
        """
        INSERT INTO new_endpoints
        SELECT name, json_array(json_object('name', 'main', 'model', model, 'version', version)), revision, created_at,
            updated_at, '[]', json_object('share', capture * 1.0), '{}', 'cpu'
        FROM endpoints
        """
    )
    op.drop_table("endpoints")
    op.rename_table("new_endpoints", "endpoints")
    op.create_table(
        "aliases",
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["model", "version"], ["models.name", "models.version"]),
    )
    op.create_table(
        "servers",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("serving", sa.Text, nullable=False),
        sa.Column("url", sa.String),
    )
    op.create_table(
        "monitors",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "rollouts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("endpoint", sa.String, nullable=False, index=True),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("strategy", sa.String, nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("wait_s", sa.Float, nullable=False),
        sa.Column("alpha", sa.Float, nullable=False),
        sa.Column("guards", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("step_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("minimum", sa.Integer, nullable=False),
        sa.Column("measured", sa.Text),
        sa.Column("progress", sa.Text),
        sa.Column("owner", sa.String),
        sa.Column("lease_until", sa.BigInteger),
    )
    op.create_table(
        "tallies",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("server_id", sa.String, primary_key=True),
        sa.Column("variant", sa.String, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "labels",
        sa.Column("endpoint", sa.String, primary_key=True),
        sa.Column("inference_id", sa.String, primary_key=True),
        sa.Column("row", sa.Integer, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("happened_at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False, index=True),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("progress", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("owner", sa.String),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "async_invocations",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("inference_id", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("input_digest", sa.String),
        sa.Column("reply", sa.Text),
        sa.Column("output_digest", sa.String),
        sa.Column("failure_digest", sa.String),
        sa.Column("webhook", sa.Text),
        sa.Column("webhook_status", sa.String, index=True),
        sa.Column("webhook_attempts", sa.Integer, nullable=False),
        sa.Column("webhook_due_at", sa.BigInteger),
        sa.Column("webhook_reason", sa.Text),
        sa.Column("owner", sa.String),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.Index("ix_async_invocations_due", "status", "due_at"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("request_digest", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False, index=True),
    )
    _widen_reports()
    _make_schedules_anew()
    _add_alerts()
    _add_profiles()
    _add_baselines()


def _widen_reports() -> None:
    """A report has the verdict of one of several checks: so far there was drift alone."""
    op.add_column("reports", sa.Column("check", sa.String, nullable=False, server_default="drift"))
    op.add_column("reports", sa.Column("breached", sa.Boolean))
    op.add_column("reports", sa.Column("markdown_digest", sa.String))
    op.execute("UPDATE reports SET breached = drifted WHERE verdict <> 'too few rows'")


def _make_schedules_anew() -> None:
    """An endpoint may have several schedules, each with a name; the one that it had gets the endpoint's."""
    op.create_table(
        "schedules",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("endpoint", sa.String, nullable=False, index=True),
        sa.Column("cron", sa.String, nullable=False),
        sa.Column("level", sa.Float, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("check", sa.String, nullable=False),
        sa.Column("variant", sa.String),
        sa.Column("zone", sa.String, nullable=False),
        sa.Column("missed", sa.String, nullable=False),
        sa.Column("start_offset", sa.String),
        sa.Column("end_offset", sa.String),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("facets", sa.Text, nullable=False),
        sa.Column("budget", sa.String),
        sa.ForeignKeyConstraint(["endpoint"], ["endpoints.name"]),
    )
    op.execute(
        """
        INSERT INTO schedules
        SELECT endpoint, endpoint, cron, level, created_at, 'drift', NULL, 'UTC', 'latest', NULL, NULL, false, '{}',
            '[]', NULL
        FROM old_schedules
        """
    )
    op.drop_table("old_schedules")
    op.create_table(
        "new_executions",
        sa.Column("schedule", sa.String, primary_key=True),
        sa.Column("scheduled_at", sa.BigInteger, primary_key=True),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("report_id", sa.String),
        sa.Column("reason", sa.Text),
        sa.Column("asked", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("window_start", sa.BigInteger),
        sa.Column("window_end", sa.BigInteger),
        sa.Column("verdict", sa.String),
        sa.Column("breached", sa.Boolean),
        sa.Column("removed", sa.Boolean, nullable=False),
    )
    # What ran without a lease was left by a process that died: the window of the next one covers it.
    op.execute(
        """
        INSERT INTO new_executions
        SELECT e.endpoint, e.scheduled_at, CASE e.status WHEN 'running' THEN 'failed' ELSE e.status END, e.started_at,
            CASE e.status WHEN 'running' THEN e.started_at ELSE e.ended_at END, e.report_id,
            CASE e.status WHEN 'running' THEN 'the process that worked on it died' ELSE e.reason END, false, 1, NULL,
            NULL, r.window_start, CASE e.status WHEN 'completed' THEN e.scheduled_at END, r.verdict,
            CASE WHEN r.verdict <> 'too few rows' THEN r.drifted END,
            NOT EXISTS (SELECT 1 FROM schedules AS s WHERE s.name = e.endpoint)
        FROM executions AS e LEFT JOIN reports AS r ON r.id = e.report_id
        """
    )
    op.drop_table("executions")
    op.rename_table("new_executions", "executions")
    op.create_index("ix_executions_status", "executions", ["status"])
    op.create_index("ix_executions_report_id", "executions", ["report_id"])


def _add_alerts() -> None:
    op.create_table(
        "alert_changes",
        sa.Column("schedule", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("check", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("scheduled_at", sa.BigInteger, nullable=False),
        sa.Column("bad", sa.Integer, nullable=False),
        sa.Column("datapoints", sa.Integer, nullable=False),
        sa.Column("of", sa.Integer, nullable=False),
        sa.Column("report_id", sa.String, index=True),
        sa.Column("window_start", sa.BigInteger),
        sa.Column("window_end", sa.BigInteger),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("columns", sa.Text, nullable=False),
    )
    op.create_table(
        "channels",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("states", sa.Text, nullable=False),
        sa.Column("timeout_s", sa.Float, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("schedule", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("status", sa.String, nullable=False, index=True),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("reason", sa.Text),
    )


def _add_profiles() -> None:
    op.create_table(
        "profiles",
        sa.Column("endpoint", sa.String, primary_key=True),
        sa.Column("variant", sa.String, primary_key=True),
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("baseline", sa.String, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("files", sa.Integer, nullable=False),
        sa.Column("digest", sa.String, nullable=False, index=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )


def _add_baselines() -> None:
    op.create_table(
        "baselines",
        sa.Column("endpoint", sa.String, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("kept_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["endpoint"], ["endpoints.name"]),
    )

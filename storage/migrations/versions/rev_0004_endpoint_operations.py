"""Endpoints have variants, and what is done with them is recorded: servers, roll-outs, labels, jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make each endpoint's one version its main variant, and add the tables."""
    op.execute("PRAGMA defer_foreign_keys=ON")  # schedules refer to endpoints, whose table is made anew
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

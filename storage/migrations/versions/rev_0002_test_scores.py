"""Trials have the score of rows that no decision has seen."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; trials of older runs have none."""
    op.add_column("trials", sa.Column("test_score", sa.Float))

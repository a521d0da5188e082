"""Each record has a table of its own, column by column."""

from typing import get_args

import msgspec
import pytest
from msgspec import Struct

from storage import records
from storage.tables import metadata

TABLES: dict[str, type[Struct]] = {
    "experiments": records.Experiment,
    "runs": records.Run,
    "trials": records.Trial,
    "events": records.RunEvent,
    "models": records.ModelVersion,
    "aliases": records.Alias,
    "endpoints": records.Endpoint,
    "servers": records.Server,
    "rollouts": records.Rollout,
    "tallies": records.Tally,
    "labels": records.Label,
    "monitors": records.Monitor,
    "jobs": records.Job,
    "async_invocations": records.AsyncInvocation,
    "idempotency_keys": records.IdempotencyKey,
    "baselines": records.KeptBaseline,
    "profiles": records.StoredProfile,
    "reports": records.Report,
    "schedules": records.Schedule,
    "executions": records.Execution,
    "alert_changes": records.AlertChange,
    "channels": records.Channel,
    "deliveries": records.Delivery,
}


def test_there_is_a_table_for_each_record() -> None:
    """And no other."""
    assert set(metadata.tables) == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_tables_columns_are_the_records_fields(name: str) -> None:
    """In their order; a field that may be None is a column that may be null."""
    fields = msgspec.structs.fields(TABLES[name])
    columns = metadata.tables[name].columns
    assert [column.name for column in columns] == [field.name for field in fields]
    optional = {field.name for field in fields if type(None) in get_args(field.type)}
    assert {column.name for column in columns if column.nullable} == optional

"""Experiments, their runs, and each run's trials and events."""

from datetime import datetime

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from storage.database import Database, insert_record, record_of, values_of
from storage.errors import UnknownNameError
from storage.records import Experiment, Run, RunEvent, RunStatus, Trial
from storage.tables import events, experiments, runs, trials


class Runs:
    """Runs, trials and events. What was added is on disk when the call returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, run: Run) -> None:
        """Record a run as it begins, and its experiment if that is new."""
        with self._database.write() as connection:
            known = connection.execute(select(experiments.c.name).where(experiments.c.name == run.experiment)).first()
            if known is None:
                insert_record(connection, experiments, Experiment(run.experiment, run.created_at))
            insert_record(connection, runs, run)

    def add_trial(self, trial: Trial) -> None:
        """Record a finished trial, in the place of one with its number that was interrupted before it was noted."""
        with self._database.write() as connection:
            connection.execute(delete(trials).where(trials.c.run_id == trial.run_id, trials.c.number == trial.number))
            connection.execute(insert(trials).values(values_of(trial)))

    def add_event(self, run_id: str, at: datetime, kind: str, body: str = "{}") -> RunEvent:
        """Record what happened in a run under its next number; several processes and threads may."""
        with self._database.write() as connection:
            last = connection.execute(select(func.max(events.c.number)).where(events.c.run_id == run_id)).scalar()
            event = RunEvent(run_id, (last or 0) + 1, at, kind, body)
            connection.execute(insert(events).values(values_of(event)))
        return event

    def events(
        self, run_id: str, *, after: int = 0, kind: str | None = None, limit: int | None = None
    ) -> "list[RunEvent]":
        """A run's events beyond a number, in their order; of one kind, or all."""
        query = select(events).where(events.c.run_id == run_id, events.c.number > after).order_by(events.c.number)
        query = query.limit(limit)
        if kind is not None:
            query = query.where(events.c.kind == kind)
        with self._database.read() as connection:
            return [record_of(RunEvent, row) for row in connection.execute(query).mappings().all()]

    def complete(self, run_id: str, ended_at: datetime, model: str, version: int, reason: str | None = None) -> None:
        """Record that a run published a model version; reason: why before its time."""
        self._set(run_id, status="completed", ended_at=ended_at, model=model, version=version, reason=reason)

    def fail(self, run_id: str, ended_at: datetime, reason: str) -> None:
        """Record that a run ended without a model."""
        self._set(run_id, status="failed", ended_at=ended_at, reason=reason)

    def resume(self, run_id: str) -> None:
        """Record that a run that was interrupted goes on."""
        self._set(run_id, status="running", ended_at=None, reason=None)

    def get(self, run_id: str) -> Run:
        """A run by its id. Raises UnknownNameError."""
        with self._database.read() as connection:
            return _known(connection, run_id)

    def list(
        self,
        limit: int = 100,
        *,
        experiment: str | None = None,
        status: RunStatus | None = None,
        before: str | None = None,
    ) -> list[Run]:
        """The latest runs, newest first. before: id of the last one that was seen. Raises UnknownNameError for that."""
        query = select(runs).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
        if experiment is not None:
            query = query.where(runs.c.experiment == experiment)
        if status is not None:
            query = query.where(runs.c.status == status)
        with self._database.read() as connection:
            if before is not None:
                last = _known(connection, before)
                earlier = and_(runs.c.created_at == last.created_at, runs.c.id < last.id)
                query = query.where(or_(runs.c.created_at < last.created_at, earlier))
            return [record_of(Run, row) for row in connection.execute(query).mappings().all()]

    def experiments(self) -> "list[Experiment]":
        """All experiments by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(experiments).order_by(experiments.c.name)).mappings().all()
        return [record_of(Experiment, row) for row in rows]

    def trials(self, run_id: str, *, after: int = -1, limit: int | None = None) -> "list[Trial]":
        """A run's trials beyond a number, in their order."""
        query = select(trials).where(trials.c.run_id == run_id, trials.c.number > after).order_by(trials.c.number)
        query = query.limit(limit)
        with self._database.read() as connection:
            return [record_of(Trial, row) for row in connection.execute(query).mappings().all()]

    def _set(self, run_id: str, **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(update(runs).where(runs.c.id == run_id).values(values))


def _known(connection: Connection, run_id: str) -> Run:
    row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
    if row is None:
        raise UnknownNameError(f"The store has no run {run_id[:80]!r}. `autopilot runs` lists them.")
    return record_of(Run, row)

"""Experiments, their runs, and each run's trials and events: read, never changed here."""

from typing import Annotated, Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from serving.control.documented import LIST, ONE
from serving.control.etags import told
from serving.control.pages import Cursor, Limit, after, page, part
from serving.parts import AnyRequest, Parts
from storage.api import Page
from storage.records import Experiment, Run, RunEvent, RunStatus, Trial


@get("/api/experiments", summary="List experiments", **LIST)
def list_experiments(
    request: AnyRequest, parts: NamedDependency[Parts], limit: Limit = 100, cursor: Cursor = None
) -> Response[Page[Experiment]]:
    """Experiments by name."""
    found = part(parts.store.runs.experiments(), limit, _name_of, after(request, cursor, str))
    return page(request, found, limit, _name_of, lambda experiment: experiment)


@get("/api/runs", summary="List runs", **LIST)
def list_runs(
    request: AnyRequest,
    parts: NamedDependency[Parts],
    experiment: Annotated[str | None, QueryParameter(description="Only runs of this experiment.")] = None,
    status: Annotated[RunStatus | None, QueryParameter(description="Only runs in this status.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[Run]]:
    """Runs, newest first."""
    before = after(request, cursor, str)
    found = parts.store.runs.list(limit + 1, experiment=experiment, status=status, before=before)
    return page(request, found, limit, lambda run: run.id, lambda run: run)


@get("/api/runs/{run_id:str}", summary="Describe a run", **ONE)
def get_run(request: AnyRequest, run_id: FromPath[str], parts: NamedDependency[Parts]) -> Response[Run]:
    """A run."""
    return told(request, parts.store.runs.get(run_id))


@get("/api/runs/{run_id:str}/trials", summary="List a run's trials", **LIST)
def list_trials(
    request: AnyRequest,
    run_id: FromPath[str],
    parts: NamedDependency[Parts],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[Trial]]:
    """Trials in the order of their numbers."""
    runs, last = parts.store.runs, after(request, cursor, int)
    found = runs.trials(runs.get(run_id).id, after=-1 if last is None else last, limit=limit + 1)
    return page(request, found, limit, lambda trial: trial.number, lambda trial: trial)


@get("/api/runs/{run_id:str}/events", summary="List a run's events", **LIST)
def list_events(
    request: AnyRequest,
    run_id: FromPath[str],
    parts: NamedDependency[Parts],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[RunEvent]]:
    """What happened in a run, in the order in which it did."""
    runs, last = parts.store.runs, after(request, cursor, int)
    found = runs.events(runs.get(run_id).id, after=last or 0, limit=limit + 1)
    return page(request, found, limit, lambda event: event.number, lambda event: event)


ROUTES: tuple[Any, ...] = (list_experiments, list_runs, get_run, list_trials, list_events)


def _name_of(experiment: Experiment) -> str:
    return experiment.name

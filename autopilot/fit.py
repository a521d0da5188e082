"""From a table to a registered model: the main job, told in one function."""

import os
import re
import sys
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
from msgspec import convert, to_builtins
from msgspec.structs import replace

from autopilot.deadline import parse_budget
from autopilot.events import Asked, Checked, Event, Note, Observer
from autopilot.metrics import Metric, metric_named
from autopilot.options import Options, Quality
from autopilot.quantities import parse_latency, parse_memory
from autopilot.search.strategy import Strategy
from autopilot.table.infer import Table, infer, names_of
from autopilot.table.read import describe, digest, read
from autopilot.table.roles import Roles
from autopilot.workers import Workers, open_workers
from storage.errors import AutopilotError, InputError, StoreError
from storage.models import check_name
from storage.records import Run
from storage.settings import Settings
from storage.signature import Task
from storage.store import Store

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from autopilot.assignment import Assignment
    from autopilot.candidates import Candidate
    from autopilot.result import Result

#: Of the budget, and in seconds at least: what checks of the table may take.
_GUARD_SHARE, _LEAST_GUARD_S = 0.05, 0.5
#: What workers import before the first task: all that trains and writes files.
PRELOAD = ("autopilot.search.assembly", "autopilot.search.probe", "autopilot.candidates")


def fit(
    data: Any,
    target: str,
    *,
    name: str | None = None,
    task: Task | Literal["auto"] = "auto",
    metric: "str | Metric | Callable[..., Any]" = "auto",
    budget: str | float = "60s",
    seed: int = 0,
    store: str | Path | Store | None = None,
    progress: bool | Observer = True,
    columns: Mapping[str, str] | None = None,
    ignore: str | Sequence[str] = (),
    candidates: "Sequence[str | Candidate] | None" = None,
    spaces: Mapping[str, Mapping[str, Any]] | None = None,
    quality: Quality = "balanced",
    max_latency: str | float | None = None,
    max_trials: int | None = None,
    max_memory: str | int | None = None,
    time: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    guard: bool = True,
    fairness: str | Sequence[str] = (),
    sensitive: str | Sequence[str] = (),
    executor: "str | Executor | None" = None,
    delimiter: str = ",",
    _started: float | None = None,
    _strategy: Strategy | None = None,
) -> "Result":
    """Find the best model for a table within a time, and register it as one ONNX file that takes the raw columns.

    data: a path or URL of csv, tsv, parquet, ndjson or arrow (also .gz), a Polars, pandas or Arrow table.
    target: the column to predict; rows without it are left out.
    name: of the model; by default the file's name, or the target's.
    task: `binary`, `multiclass`, `regression`; `auto` looks at the target.
    metric: what to optimise; `auto` is roc_auc, log_loss or rmse by task. A name, or your own `autopilot.Metric`.
    budget: wall time of the whole call: `30s`, `5m`, `1h` or seconds. It ends earlier when nothing more is gained.
    quality: `fast` is one small model; `balanced` an ensemble that is trained on all rows; `best` keeps the models of
        all folds, which is a little better and several times slower to serve.
    max_latency: of one row, as `500us`, `2ms` or microseconds: slower ensembles are not considered.
    max_trials: no more are begun. max_memory: of each training process, as `2GB` or bytes; what exceeds it is stopped
        and recorded as failed; by default an equal part of nine tenths of what is free.
    time: a column that orders the rows: later rows validate, the latest test. group: a column of which no value
        may be on both sides. weight: a column of row weights, or `balanced` for classes that weigh alike.
    guard: look for leaks, identifiers, equal rows, groups and time order first, leave out what would make scores too
        good, and tell; False takes the table as it is. A column with a kind in `columns` is told, and stays.
    fairness: columns, also ignored ones, by whose groups the report compares rates and errors.
    sensitive: columns of which no message and no chart shows a value; models learn from them all the same, unless they
        are in `ignore` too. docs/fitting.md tells what else holds values.
    executor: where trials run: None for processes here, "dask://host:8786", or any concurrent.futures.Executor.
    seed: the same seed gives the same folds and the same suggestions; a time limit still ends runs differently.
    store: folder of the store; by default the setting `store`.
    progress: True shows it on standard error, False nothing; or a function that gets each event.
    candidates: families to try, by name or as objects: `["lightgbm", "random_forest", MyCandidate()]`; by default all
        that suit the table and are installed: xgboost and catboost come with the extra `boost`. An unknown name gets
        the list of all.
    spaces: narrower ranges: {"lightgbm": {"num_leaves": (4, 31), "learning_rate": 0.05}}.
    columns: kinds that overrule what would be inferred, such as {"zip": "category"}; a time may say how it is written:
        {"day": "time:%d/%m/%Y"}, {"seen": "time:ms"}. ignore: columns to leave out.

    Raises InputError for data that cannot be used, with the place, the value and the remedy; FailureError if no model
    could be made.

    >>> import polars as pl, tempfile
    >>> rows = pl.DataFrame({"x": range(200), "y": [number % 7 > 3 for number in range(200)]})
    >>> result = fit(rows, target="y", budget=2, store=tempfile.mkdtemp(), progress=False, columns={"x": "number"})
    >>> list(result.model.predict_row({"x": 4}))
    ['label', 'p_false', 'p_true']
    """
    started = monotonic() if _started is None else _started  # the command line counts from its process's start
    budget_s = parse_budget(budget)
    if not 0 <= seed < 2**63:
        raise InputError(f"The seed is {seed}. Use a whole number from 0 to 2**63 - 1.")
    strategy = replace(Strategy() if _strategy is None else _strategy, max_trials=max_trials)
    latency_us, memory_bytes = parse_latency(max_latency), parse_memory(max_memory)
    count = worker_count()
    with (
        observing(progress) as observe,
        open_workers(executor, count, memory_bytes, preload=PRELOAD) as workers,
    ):
        left_out, compared, hidden = names_of(ignore), names_of(fairness), names_of(sensitive)
        frame = read_whole(data, columns or {}, delimiter, sensitive=bool(hidden))
        is_balanced = weight == "balanced" and weight not in frame.columns
        named = None if is_balanced else weight
        kinds = dict(columns or {})
        asked = Asked(task, kinds, left_out, delimiter, time, group, named, is_balanced, compared, hidden)
        options = Options(quality, latency_us, strategy, is_balanced)
        table = table_of(frame, target, asked)
        if is_balanced and table.signature.task == "regression":
            raise InputError("weight='balanced' makes classes weigh alike; the target is a number. Name a column.")
        chosen = metric_named(metric, table.signature.task, table.signature.classes)
        chosen.refuse(table.y)
        from autopilot.assignment import Assignment  # scikit-learn, LightGBM: a second that the budget counts
        from autopilot.candidates import choose

        families = choose(candidates, spaces)
        model_name = check_name(name or _default_name(data, target), "a model")
        opened = Store.open(Settings.load().store if store is None else store)
        table, checked = _guarded(table, asked, budget_s, seed) if guard else (table, Checked())
        run = _begin(opened, table, chosen, describe(data), digest(frame), model_name, budget_s, seed)
        address = executor if isinstance(executor, str) else None
        assignment = Assignment(table, chosen, options, families, asked, checked, address, count, memory_bytes)
        return carry_out(opened, run, assignment, workers, started, observe)


def read_whole(data: Any, columns: Mapping[str, str], delimiter: str, *, sensitive: bool = False) -> pl.DataFrame:
    """A table with what the user calls categories and text read as text. sensitive: as of `read`."""
    written = [name for name, kind in columns.items() if kind in ("category", "text")]
    return read(data, delimiter=delimiter, text=written, sensitive=sensitive)


def table_of(frame: pl.DataFrame, target: str, asked: Asked, checked: Checked | None = None) -> Table:
    """What is learnt from a frame as it was read. checked: what was decided about it, which is done again."""
    roles = Roles(time=asked.time, group=asked.group, weight=asked.weight)
    task: Any = asked.task
    table = infer(
        frame,
        target,
        task=task,
        columns=asked.columns,
        ignore=asked.ignore,
        roles=roles,
        facets=asked.fairness,
        sensitive=asked.sensitive,
    )
    if checked is None or not checked.guarded:
        return table
    from autopilot.guardrails import Guarded

    return convert(checked.guarded, Guarded).applied(table)


def _guarded(table: Table, asked: Asked, budget_s: float, seed: int) -> tuple[Table, Checked]:
    """The table as its checks leave it, and what they decided."""
    from autopilot.guardrails import guard

    guarded = guard(table, kept=asked.kept, seed=seed, limit_s=max(_LEAST_GUARD_S, _GUARD_SHARE * budget_s))
    return guarded.applied(table), Checked(to_builtins(guarded))


def carry_out(
    store: Store,
    run: Run,
    assignment: "Assignment",
    workers: Workers,
    started: float,
    observe: Observer,
    past: Sequence[Event] = (),
) -> "Result":
    """Work on a run to its end, in a folder that lets another process go on if this one is killed.

    started: when its budget began to count. past: what a process before it recorded. Raises BusyError if another
    process works on it.
    """
    from autopilot.training import Training  # hyperopt, onnx: the rest of it

    with store.work.claimed(run.id) as folder:
        try:
            assignment.save(folder)
            result = Training(store, run, assignment, folder, workers, started, observe, past).work()
        except BaseException as error:
            store.runs.fail(run.id, datetime.now(UTC), _reason(error))
            if isinstance(error, AutopilotError) and not isinstance(error, StoreError):
                store.work.remove(run.id)  # going on would end in the same way
            else:
                observe(Note(f"The run was interrupted. To go on with it: autopilot fit --resume {run.id}"))
            raise
        store.work.remove(run.id)
    return result


def _reason(error: BaseException) -> str:
    return "interrupted" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"[:500]


def _begin(
    store: Store, table: Table, metric: Metric, data: str, data_digest: str, name: str, budget_s: float, seed: int
) -> Run:
    run = Run(
        id=uuid.uuid4().hex[:12],
        experiment=name,
        status="running",
        data=data,
        data_digest=data_digest,
        rows=table.frame.height,
        target=table.signature.target,
        task=table.signature.task,
        metric=metric.name,
        budget_s=budget_s,
        seed=seed,
        created_at=datetime.now(UTC),
    )
    store.runs.start(run)
    return run


def worker_count() -> int:
    """Trials at once: the setting, or one for each core that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return Settings.load().threads or allowed or 1


def _default_name(data: Any, target: str) -> str:
    """The file's name, or the target's, with what a URL cannot hold taken out."""
    words = Path(str(data)).name.partition(".")[0] if isinstance(data, str | Path) else target
    return re.sub(r"[^A-Za-z0-9_-]+", "-", words).strip("-_")[:63] or "model"


@contextmanager
def observing(progress: bool | Observer) -> Generator[Observer]:
    """An observer as `progress` asks for it: a display, a function, or one that does nothing."""
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda event: None
    else:
        from autopilot.progress import showing

        with showing() as observe:
            yield observe

"""From a table to a registered model: the main job, told in one function."""

import re
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autopilot.deadline import Deadline, parse_budget
from autopilot.events import Observer
from autopilot.metrics import Metric, metric_named
from autopilot.table.infer import Table, infer
from autopilot.table.read import describe, digest, read
from storage.errors import InputError
from storage.models import check_name
from storage.records import Run
from storage.settings import Settings
from storage.signature import Task
from storage.store import Store

if TYPE_CHECKING:
    from autopilot.candidates import Candidate
    from autopilot.result import Result

#: Of the budget: the clock runs from the call, and closing files takes its time.
_USED_SHARE = 0.97


def fit(
    data: Any,
    target: str,
    *,
    name: str | None = None,
    task: Task | Literal["auto"] = "auto",
    metric: str = "auto",
    budget: str | float = "60s",
    seed: int = 0,
    store: str | Path | Store | None = None,
    progress: bool | Observer = True,
    columns: Mapping[str, str] | None = None,
    ignore: Sequence[str] = (),
    candidates: "Sequence[str | Candidate] | None" = None,
    delimiter: str = ",",
    _started: float | None = None,
) -> "Result":
    """Find the best model for a table within a time, and register it as one ONNX file that takes the raw columns.

    data: a path or URL of csv, tsv, parquet, ndjson or arrow (also .gz), a Polars, pandas or Arrow table.
    target: the column to predict; rows without it are left out.
    name: of the model; by default the file's name, or the target's.
    task: `binary`, `multiclass`, `regression`; `auto` looks at the target.
    metric: what to optimise; `auto` is roc_auc, log_loss or rmse by task.
    budget: wall time of the whole call: `30s`, `5m`, `1h` or seconds.
    seed: the same seed gives the same folds and the same suggestions; a time limit still ends runs differently.
    store: folder of the store; by default the setting `store`.
    progress: True shows it on standard error, False nothing; or a function that gets each event.
    candidates: families to try, by name or as objects: `["lightgbm", "random_forest", MyCandidate()]`; by default
        baseline, linear, lightgbm and extra_trees. An unknown name gets the list of all; xgboost and catboost come
        with the extra `boost`.
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
    started = time.monotonic() if _started is None else _started  # the command line counts from its process's start
    budget_s = parse_budget(budget)
    if not 0 <= seed < 2**63:
        raise InputError(f"The seed is {seed}. Use a whole number from 0 to 2**63 - 1.")
    deadline = Deadline.at_time(started + _USED_SHARE * budget_s)
    with _observer(progress) as observe:
        written = [name for name, kind in (columns or {}).items() if kind in ("category", "text")]
        frame = read(data, delimiter=delimiter, text=written)
        table = infer(frame, target, task=task, columns=columns, ignore=ignore)
        chosen = metric_named(metric, table.signature.task)
        chosen.refuse(table.y)
        from autopilot.candidates import choose  # scikit-learn, LightGBM: a second that the budget counts

        families = choose(candidates)
        model_name = check_name(name or _default_name(data, target), "a model")
        opened = Store.open(Settings.load().store if store is None else store)
        run = _begin(opened, table, chosen, describe(data), digest(frame), model_name, budget_s, seed)
        from autopilot.training import Training  # hyperopt, onnx: the rest of it

        try:
            return Training(opened, run, table, chosen, deadline, started, observe).work(families)
        except BaseException as error:
            opened.runs.fail(run.id, datetime.now(UTC), _reason(error))
            raise


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


def _default_name(data: Any, target: str) -> str:
    """The file's name, or the target's, with what a URL cannot hold taken out."""
    words = Path(str(data)).name.partition(".")[0] if isinstance(data, str | Path) else target
    return re.sub(r"[^A-Za-z0-9_-]+", "-", words).strip("-_")[:63] or "model"


@contextmanager
def _observer(progress: bool | Observer) -> Generator[Observer]:
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda event: None
    else:
        from autopilot.progress import showing

        with showing() as observe:
            yield observe

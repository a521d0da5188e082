"""The command line: each command is a function, its options are the arguments.

Exit codes: 0 done, 1 failed, 2 bad usage or bad data. `--json` prints one JSON document on standard output; progress
and messages go to standard error. What a command needs is imported inside it, so that `--help` answers at once.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from msgspec.structs import asdict

from autopilot import __version__
from autopilot.alert_commands import add_commands as add_alert_commands
from autopilot.baseline_commands import add_commands as add_baseline_commands
from autopilot.endpoint_commands import endpoints
from autopilot.model_commands import models
from autopilot.parameters import Delimiter, Json, StorePath, open_store
from autopilot.schedule_commands import add_commands as add_schedule_commands
from storage.errors import InputError
from storage.records import CapturePolicy, CheckKind
from storage.settings import Settings

if TYPE_CHECKING:
    from storage.store import Store

app = App(
    name="autopilot",
    version=__version__,
    help="From a table to a served and watched model, on one machine.",
    help_on_error=False,
)
monitor = App(name="monitor", help="Drift reports on an endpoint's traffic: now, on a schedule, or of two files.")
add_baseline_commands(monitor)
add_schedule_commands(monitor)
add_alert_commands(monitor)
app.command(monitor)
jobs = App(name="jobs", help="Runs that have not ended: list, watch, stop or remove them.")
app.command(jobs)
app.command(endpoints)
app.command(models)

#: From when a budget counts, by `time.monotonic`: the start of the process. None is the call.
began: float | None = None


@app.command
def fit(
    data: str | None = None,
    /,
    *,
    target: str | None = None,
    resume: Annotated[str | None, Parameter(help="Go on with an interrupted run, in place of a new one.")] = None,
    name: str | None = None,
    task: Literal["auto", "binary", "multiclass", "regression"] = "auto",
    metric: str = "auto",
    budget: str = "60s",
    seed: int = 0,
    column: Annotated[
        list[str] | None, Parameter(negative="", help="Overrule a kind, such as zip=category or day=time:%d/%m/%Y.")
    ] = None,
    ignore: Annotated[list[str] | None, Parameter(negative="", help="Leave a column out.")] = None,
    candidate: Annotated[
        list[str] | None, Parameter(negative="", help="Try this family, such as lightgbm; may be given several times.")
    ] = None,
    quality: Literal["fast", "balanced", "best"] = "balanced",
    max_latency: str | None = None,
    max_trials: int | None = None,
    max_memory: str | None = None,
    time: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    guard: bool = True,
    fairness: Annotated[
        list[str] | None, Parameter(negative="", help="Compare this column's groups in the report.")
    ] = None,
    sensitive: Annotated[
        list[str] | None, Parameter(negative="", help="Columns of which no message shows a value, such as name,ssn.")
    ] = None,
    executor: str | None = None,
    delimiter: Delimiter = ",",
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Find the best model for a table and register it.

    Parameters
    ----------
    data
        A path or URL of csv, tsv, parquet, ndjson or arrow, also with .gz.
    target
        The column to predict.
    resume
        Go on with this run, which was interrupted, as it was begun. `autopilot jobs` lists such runs.
    name
        Of the model; by default the file's name.
    metric
        What to optimise, such as roc_auc, log_loss, f1, rmse; auto chooses by task.
    budget
        Wall time of the whole command, such as 30s, 5m, 1h.
    quality
        fast is one small model, balanced an ensemble, best keeps the models of all folds: slower to serve.
    max_latency
        Of one row, such as 500us or 2ms: slower ensembles are not considered.
    max_trials
        No more trials are begun.
    max_memory
        Of each training process, such as 2GB; a trial that exceeds it is stopped and recorded.
    time
        A column that orders the rows: later rows validate, the latest test.
    group
        A column of which no value may be both trained and validated on.
    weight
        A column of row weights, or `balanced` for classes that weigh alike.
    guard
        Look for leaks, identifiers, equal rows, groups and time order first; --no-guard takes the table as it is.
    executor
        Where trials run: dask://host:8786; by default processes here.
    """
    from autopilot import terminal
    from autopilot.fit import fit as run

    if resume is not None:
        from autopilot.resume import resume as go_on

        if data is not None or target is not None:
            raise InputError(f"Run {resume!r} knows its table and target. Give --resume alone.")
        resumed = go_on(resume, store=store, _started=began)
        terminal.print_json(resumed.summary()) if json else terminal.print_result(resumed)
        return
    if data is None or target is None:
        raise InputError("Name DATA, a table, and its --target; or a run to --resume. See: autopilot fit --help")
    kinds: Any = dict(_pair(text) for text in column or ())
    result = run(
        data,
        target,
        name=name,
        task=task,
        metric=metric,
        budget=budget,
        seed=seed,
        store=store,
        columns=kinds,
        ignore=ignore or (),
        candidates=candidate,
        quality=quality,
        max_latency=max_latency,
        max_trials=max_trials,
        max_memory=max_memory,
        time=time,
        group=group,
        weight=weight,
        guard=guard,
        fairness=fairness or (),
        sensitive=_split(sensitive) or (),
        executor=executor,
        delimiter=delimiter,
        _started=began,
    )
    if json:
        terminal.print_json(result.summary())
    else:
        terminal.print_result(result)


@app.command
def predict(
    model: str,
    source: str,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"], help="File to write, or folder, for a file of each input.")],
    join: Annotated[bool, Parameter(negative="", help="Also write the input's columns, first.")] = False,
    columns: Annotated[list[str] | None, Parameter(negative="", help="Write only these, such as id,label.")] = None,
    id_: Annotated[str | None, Parameter(name="--id", help="Write this column of the input first.")] = None,
    probabilities: bool = True,
    interval: Annotated[bool, Parameter(negative="")] = False,
    on_error: Literal["raise", "null", "skip"] = "raise",
    fail_fast: Annotated[bool, Parameter(negative="", help="End at the first file that cannot be scored.")] = False,
    format_: Annotated[
        Literal["csv", "tsv", "parquet", "ndjson", "arrow"] | None,
        Parameter(name="--format", help="Of files in a folder; default: as the input."),
    ] = None,
    suffix: str = "",
    delimiter: Delimiter = ",",
    overwrite: Annotated[bool, Parameter(negative="", help="Replace output that is there.")] = False,
    resume: Annotated[bool, Parameter(negative="", help="Go on where a run that was killed ended.")] = False,
    workers: int = 0,
    store: StorePath = None,
    json: Json = False,
) -> int:
    """Score files of any size, in bounded memory, on all cores.

    Parameters
    ----------
    model
        A registered name, name:3, or the path of an .onnx file.
    source
        A file, a folder, a pattern such as "in/*.csv", or one at s3://, gs:// or az://: csv, tsv, parquet, ndjson or
        arrow with the model's columns, also with .gz or .zst.
    probabilities
        Of each class; --no-probabilities writes the label alone.
    interval
        Also write how sure the model is: the columns lower and upper of an interval, or for classes their set.
    on_error
        Of a row that is broken, or not as in training: raise ends its file, null leaves its outputs empty and tells
        why in a column error, skip writes it with its reason to OUT.errors.ndjson instead.
    suffix
        Put after the names of files in a folder, such as .out, which is what SageMaker does.
    workers
        Threads that score; 0 is one for each core.
    """
    from autopilot import terminal
    from autopilot.load import load
    from autopilot.predict_progress import showing_progress
    from storage.batch import Transform
    from storage.batch.engine import transform_files

    kept = _split(columns)
    transform = Transform(
        model,
        source,
        out,
        join=join,
        columns=None if kept is None else tuple(kept),
        id=id_,
        probabilities=probabilities,
        interval=interval,
        on_error=on_error,
        fail_fast=fail_fast,
        format=format_,
        suffix=suffix,
        delimiter=delimiter,
        overwrite=overwrite,
        workers=workers,
    )
    opened = load(model, store=store)
    with showing_progress() as observe:
        summary = transform_files(opened, transform, observe=observe, resume=resume)
    if json:
        place = out if "://" in out else str(Path(out).resolve())
        terminal.print_json({"out": place, **asdict(summary)})
    else:
        terminal.print_transformed(summary, out)
    return 1 if summary.failed else 0


@app.command
def explain(
    model: str,
    file: str,
    /,
    *,
    out: Annotated[
        str | None, Parameter(name=["--out", "-o"], help="File to write: parquet, csv, ndjson or arrow.")
    ] = None,
    background: str | None = None,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    rows: int | None = None,
    seed: int | None = None,
    delimiter: Delimiter = ",",
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Explain predictions: how much each column added to each, as a table.

    Parameters
    ----------
    model
        A registered name, name:3, or the path of an .onnx file.
    file
        csv, tsv, parquet, ndjson or arrow with the model's columns.
    background
        A file of usual rows to hold predictions against; by default the registered version's sample of training rows,
        and for an .onnx file the file's own rows.
    class_
        Explain only the probability of this class.
    rows
        Only so many, from the file's beginning; each takes some tens of milliseconds.
    seed
        Draws the rows of the background, and the orders where values are sampled; by default the one that the model
        was trained with.
    """
    from autopilot import terminal
    from autopilot.explain.explain_file import explain_file
    from autopilot.load import load
    from autopilot.table.read import read
    from storage.explain.of_version import read_usual

    opened = load(model, store=store)
    usual = None
    if background is not None:
        signature = opened.signature
        text, sensitive = signature.block("text"), signature.has_sensitive
        usual = read(background, delimiter=delimiter, text=text, sensitive=sensitive)
    elif not (model.endswith(".onnx") or Path(model).is_file()):
        registered = open_store(store)
        usual = read_usual(registered, registered.models.get(model))
    found = explain_file(opened, file, out, background=usual, class_=class_, rows=rows, seed=seed, delimiter=delimiter)
    if json:
        written = {} if out is None else {"out": str(Path(out).resolve())}
        terminal.print_json(
            {"rows": len(found.values), "method": found.method, **written, "values": found.frame().to_dicts()}
        )
    elif out is None:
        terminal.print_explanation(found)
    else:
        terminal.say(f"{len(found.values):,} rows explained into {out}: {found.method}")


@app.command
def process(
    file: str,
    step: str | None = None,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"], help="File to write: parquet, csv, ndjson or arrow.")],
    columns: Annotated[list[str] | None, Parameter(negative="", help="That it reads, such as a,b.")] = None,
    ignore: Annotated[list[str] | None, Parameter(negative="", help="Columns to leave as they are.")] = None,
    components: int | None = None,
    max_levels: int | None = None,
    drop: Annotated[bool, Parameter(negative="", help="Leave out the columns that the step reads.")] = False,
    save: str | None = None,
    fitted: str | None = None,
    seed: int = 0,
    delimiter: Delimiter = ",",
    json: Json = False,
) -> None:
    """Fit one processing step on a file, such as one_hot or pca, and write the table with its columns.

    Parameters
    ----------
    file
        A path or URL of csv, tsv, parquet, ndjson or arrow, also with .gz.
    step
        Its name; a wrong one lists all.
    components
        Of pca; by default as many as explain 90 % of the variance, at most 8.
    max_levels
        Of one_hot, for each column; by default 24.
    save
        Also write the fitted step to this JSON file.
    fitted
        Take the fitted step of this JSON file instead of fitting one: the same columns, with the same bits.
    seed
        Draws the sample that large tables are fitted on.
    """
    from autopilot import terminal
    from autopilot.process import process as run
    from autopilot.process import step_of
    from autopilot.table.write import refuse_target, write_table

    refuse_target(out)
    done = run(
        file,
        step_of(step, fitted),
        columns=_split(columns),
        ignore=_split(ignore) or (),
        components=components,
        max_levels=max_levels,
        drop=drop,
        seed=seed,
        delimiter=delimiter,
    )
    write_table(done.frame, out)
    if save is not None:
        done.fitted.save(save)
    if json:
        terminal.print_json({"rows": done.frame.height, "columns": done.fitted.names, "out": str(Path(out).resolve())})
    else:
        terminal.say(f"{done.frame.height:,} rows with {len(done.fitted.names)} new columns in {out}")


@app.command
def deploy(
    model: str, /, *, endpoint: str, capture: bool | None = None, store: StorePath = None, json: Json = False
) -> None:
    """Serve a model version under a name; servers that run follow at once.

    It waits up to five seconds for them; the exit code is 1 if one could not load the version.

    Parameters
    ----------
    model
        A registered name (its latest version) or name:3.
    endpoint
        Name of the endpoint; made if it is new.
    capture
        Keep requests and answers for the monitor; default: as it is, and for a new endpoint yes.
    """
    from autopilot import deployment, terminal

    opened = open_store(store)
    policy = None if capture is None else CapturePolicy(share=float(capture))
    deployed = opened.endpoints.deploy(endpoint, opened.models.get(model), datetime.now(UTC), capture=policy)
    if json:
        terminal.print_json(deployed)
    told = deployment.told(deployed, deployment.follow(opened, deployed))
    if not json:
        terminal.say(told)


@app.command
def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    workers: str | None = None,
    access_log: bool | None = None,
    store: StorePath = None,
) -> int:
    """Start the HTTP server, and the monitor beside it, until Ctrl-C.

    Parameters
    ----------
    host
        Address to listen on; default: the setting `host`, 127.0.0.1.
    port
        TCP port; default: the setting `port`, 8080.
    workers
        Processes that answer: 4, by load between bounds such as 1..8, or auto for 1 to all cores; default: the setting
        `workers`, 1. SIGHUP renews several without a gap.
    access_log
        Write a line of JSON for each request to stdout; default: the setting `access_log`, no.
    """
    from autopilot import servers

    settings = Settings.load()
    root = str(open_store(store).root)
    wanted = settings.access_log if access_log is None else access_log
    options = ["--access-log" if wanted else "--no-access-log"]
    return servers.serve(
        root,
        host or settings.host,
        settings.port if port is None else port,
        *options,
        workers=str(settings.workers) if workers is None else workers,
    )


@monitor.command(name="run")
def monitor_run(
    endpoint: str,
    /,
    *,
    level: float = 0.05,
    hours: float = 24.0,
    check: CheckKind = "drift",
    facet: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="Whose bias; may be given several times: sex=female, age>40, sex; default: of fit's --fairness.",
        ),
    ] = None,
    out: Annotated[
        str | None, Parameter(name=["--out", "-o"], help="Also write the report to this file: .html, .md or .json.")
    ] = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Compare an endpoint's recent traffic with the training sample, and write a report.

    Parameters
    ----------
    level
        Chance of any alarm in a report without drift.
    hours
        How far back to look.
    check
        Whose verdict is the report's; all sections are in it whatever the check.
    """
    from autopilot import servers, terminal
    from storage.baselines.disk import report_form, write_file

    form = None if out is None else report_form(Path(out))
    opened = open_store(store)
    options = ["--level", str(level), "--hours", str(hours), "--check", check]
    options += [word for one in facet or () for word in ("--facet", one)]
    report = servers.ask_monitor("run", endpoint, "--store", str(opened.root), *options)
    if out is not None and form is not None:
        reports = opened.reports
        read = {"html": reports.read_html, "md": reports.read_markdown, "json": reports.read_json}[form]
        write_file(Path(out), read(reports.get(report["id"])))
    if json:
        terminal.print_json(report)
        return
    terminal.print_drift(report, f"{_server_of(opened)}/reports/{report['id']}" if out is None else out)


def _server_of(store: "Store") -> str:
    """Where a server of the store answers that runs on this machine; without one, where it would by the settings."""
    import socket

    from autopilot.client.client import address_of

    return store.servers.url(socket.gethostname(), datetime.now(UTC)) or address_of(None)


@monitor.command(name="compare")
def monitor_compare(
    reference: str,
    current: str,
    /,
    *,
    level: float = 0.05,
    method: str = "calibrated",
    threshold: float | None = None,
    bins: int | None = None,
    delimiter: Delimiter = ",",
    out: Annotated[
        str | None, Parameter(name=["--out", "-o"], help="Also write the report to this file: .html, .md or .json.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare two files of the same columns: has anything drifted?

    Parameters
    ----------
    reference
        What was usual: csv, tsv, parquet, ndjson or arrow.
    current
        What is to be judged.
    level
        Chance of any alarm in a report without drift.
    method
        Who judges: `calibrated` keeps the level; other products' rules, such as `evidently`, and single measures, such
        as `psi`, do not.
    threshold
        Of a single measure: the distance at which a column alarms.
    bins
        Of a single measure that counts: how many bins numbers are put into.
    """
    from autopilot import servers, terminal
    from storage.baselines.disk import report_form

    if out is not None:
        report_form(Path(out))
    with servers.as_parquet(reference, current, delimiter=delimiter) as paths:
        page = ["--out", out] if out is not None else []
        asked = {"--method": method, "--threshold": threshold, "--bins": bins}
        options = [word for name, value in asked.items() if value is not None for word in (name, str(value))]
        report = servers.ask_monitor("compare", *paths, "--level", str(level), *options, *page)
    if json:
        terminal.print_json(report)
    else:
        terminal.print_drift(report, out or "name a file by --out to get it")


@app.command
def inspect(model: str, /, *, store: StorePath = None, json: Json = False) -> None:
    """Show a model's card: columns, features, ensemble, scores, operators, how exact it is, an example to send.

    Parameters
    ----------
    model
        A registered name, name:3, or the path of an .onnx file, for which no store is needed.
    """
    from autopilot import terminal
    from autopilot.card import describe
    from autopilot.load import load

    found = describe(load(model, store=store).model_bytes)
    settings = Settings.load()
    terminal.print_json(found) if json else terminal.print_card(found, f"http://{settings.host}:{settings.port}")


@app.command
def verify(model: str, /, *, store: StorePath = None, json: Json = False) -> int:
    """Replay the test vectors in a model file, and say whether it was altered: exit code 0 if all is well, else 1.

    Parameters
    ----------
    model
        A registered name, name:3, or the path of an .onnx file, for which no store is needed.
    """
    from autopilot import terminal
    from autopilot.verify import verify as replay

    found = replay(model, store=store)
    terminal.print_json(found) if json else terminal.print_verification(found)
    return 0 if found.passed else 1


@app.command
def runs(run: str | None = None, /, *, store: StorePath = None, json: Json = False) -> None:
    """List the runs, or one run's trials.

    Parameters
    ----------
    run
        A run's id.
    """
    from autopilot import terminal

    opened = open_store(store)
    if run is None:
        found = opened.runs.list()
        terminal.print_json(found) if json else terminal.print_runs(found)
        return
    record, trials = opened.runs.get(run), opened.runs.trials(run)
    if json:
        terminal.print_json({"run": record, "trials": trials})
    else:
        terminal.print_trials(trials, record.metric)


@app.command
def report(
    run: str,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"], help="File to write: one HTML page, complete in itself.")],
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Write the report on a run: findings, scores with intervals, charts, leaderboard, model card.

    Parameters
    ----------
    run
        Its id: `autopilot runs` lists them.
    """
    from autopilot import terminal
    from autopilot.report.archive import evidence_of
    from autopilot.report.page import Page, render

    written = Page(render(evidence_of(open_store(store), run))).save(out)
    if json:
        terminal.print_json({"run": run, "out": str(written.resolve()), "bytes": written.stat().st_size})
    else:
        terminal.say(f"The report on run {run} is in {out}")


@app.command
def replay(
    run: str,
    /,
    *,
    data: str | None = None,
    everything: Annotated[bool, Parameter(name="--all", negative="", help="Train all that was tried again.")] = False,
    store: StorePath = None,
    json: Json = False,
) -> int:
    """Train a run's model again from its tape, and say whether it is the same to the bit: exit code 0, else 1.

    Parameters
    ----------
    run
        Its id: `autopilot runs` lists them.
    data
        Where the table is now, if not where it was.
    everything
        Train each part of each trial again, not only those that the model was made of.
    """
    from autopilot import terminal
    from autopilot.replay import replay as again

    found = again(run, data, store=store, everything=everything)
    terminal.print_json(found) if json else terminal.print_replayed(found)
    return 0 if found.same else 1


@app.command
def notebooks(
    run: str,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"], help="Folder to write to; made if there is none.")] = ".",
    data: str | None = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Write a run's two notebooks: its table explored, and its best candidate rebuilt step by step.

    Parameters
    ----------
    run
        Its id: `autopilot runs` lists them.
    data
        Where the table is now, if not where it was.
    """
    from autopilot import terminal
    from autopilot.notebooks import write_notebooks

    opened = open_store(store)
    exploration, candidate = write_notebooks(opened, opened.runs.get(run), out, data=data)
    if json:
        terminal.print_json({"exploration": str(exploration.resolve()), "candidate": str(candidate.resolve())})
    else:
        terminal.say(f"{exploration}\n{candidate}")


@jobs.default
def jobs_list(*, store: StorePath = None, json: Json = False) -> None:
    """List the runs that work now, or were interrupted."""
    from autopilot import terminal
    from autopilot.jobs import list_jobs

    found = list_jobs(open_store(store))
    terminal.print_json(found) if json else terminal.print_jobs(found)


@jobs.command(name="watch")
def jobs_watch(run: str, /, *, store: StorePath = None) -> None:
    """Show what a run does, from its beginning to its end, as the process shows it that works on it.

    Parameters
    ----------
    run
        Its id.
    """
    from autopilot import terminal
    from autopilot.jobs import watch
    from autopilot.progress import Clock, showing

    clock = Clock()
    with showing(clock) as observe:
        ended = watch(open_store(store), run, observe, clock.tell)
    terminal.print_runs([ended])


@jobs.command(name="stop")
def jobs_stop(run: str, /, *, store: StorePath = None, json: Json = False) -> None:
    """End a run within a second, with the best model so far.

    Parameters
    ----------
    run
        Its id.
    """
    from autopilot import terminal
    from autopilot.jobs import stop

    ended = stop(open_store(store), run)
    terminal.print_json(ended) if json else terminal.print_runs([ended])


@jobs.command(name="remove")
def jobs_remove(run: str, /, *, store: StorePath = None) -> None:
    """Give up an interrupted run, and free its disk space.

    Parameters
    ----------
    run
        Its id.
    """
    from autopilot import terminal
    from autopilot.jobs import remove

    remove(open_store(store), run)
    terminal.say(f"Run {run} cannot go on any more.")


@app.command
def worker(
    *, once: Annotated[bool, Parameter(negative="", help="End when none is left.")] = False, store: StorePath = None
) -> None:
    """Go on with runs whose process was killed, until Ctrl-C: one at a time, each in a process of its own.

    Parameters
    ----------
    once
        End when there are no such runs, instead of waiting for more.
    """
    from autopilot import terminal
    from autopilot.jobs import carry_on

    carry_on(open_store(store), terminal.say, once=once)


@app.command
def doctor(*, store: StorePath = None, json: Json = False) -> int:
    """Print versions, settings and where each came from, and whether the store is healthy."""
    from autopilot import terminal
    from autopilot.doctor import examine

    found = examine(store)
    terminal.print_json(found) if json else terminal.print_doctor(found)
    return 0 if found["healthy"] else 1


@app.command
def demo(*, budget: str = "40s", port: int | None = None, store: StorePath = None) -> int:
    """Show the whole way on the 2013 New York flights: fit, deploy, serve, live traffic, drift report.

    Parameters
    ----------
    budget
        Time to fit.
    port
        TCP port; default: the setting `port`, or a free one if that is taken.
    """
    from autopilot.demo import run

    settings = Settings.load()
    return run(
        open_store(store), budget, settings.host, settings.port if port is None else port, stays=sys.stdout.isatty()
    )


def _tell_version_at_the_top_only(group: App) -> None:
    """Else `autopilot deploy price --version 1` tells the program's version, and deploys nothing."""
    for name in group:
        if not name.startswith("-"):
            group[name].version_flags = ()
            _tell_version_at_the_top_only(group[name])


_tell_version_at_the_top_only(app)


def _split(names: list[str] | None) -> list[str] | None:
    return None if names is None else [name for text in names for name in text.split(",")]


def _pair(text: str) -> tuple[str, str]:
    name, mark, kind = text.rpartition("=")
    if not mark:
        raise InputError(f"--column {text!r} names no kind. Write it as --column zip=category.")
    return name, kind

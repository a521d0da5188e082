"""Records as tables on a terminal."""

import math
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autopilot.progress import shown
from autopilot.result import Result
from autopilot.search.frontier import Point, frontier_frame
from storage.errors import counted, listed
from storage.instants import minute_of
from storage.records import Alias, Endpoint, Member, ModelVersion, Parity, Run, Scores, Trial
from storage.signature import Column

if TYPE_CHECKING:
    from autopilot.card import Description
    from autopilot.endpoint_changes import EndpointView
    from autopilot.explain import Explanation
    from autopilot.jobs import Job
    from autopilot.replay import Replayed
    from autopilot.verify import Verification
    from storage.batch import Summary
    from storage.capture_export import Exported
    from storage.labels import Received
    from storage.labels.summary import LabelSummary
    from storage.quality import MetricPair
    from storage.replay import Against, Replay, Same
    from storage.replay.report import RowPair
    from storage.servers import ServerStatus
    from storage.shadows import ShadowReport

_REDACTED = {
    "drop": "not written",
    "mask": "only whether there was a value",
    "hash": "only a digest, equal for equal values",
}
_SHOWN_TRIALS = 8
_SHOWN_ROWS = 3
_SHOWN_COLUMNS = 40
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """A line on standard output, never broken: addresses and paths can be copied."""
    out.print(text, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())


def print_result(result: Result) -> None:
    """Leaderboard, frontier, metrics beside the constant guess, the model's name, and what to type next."""
    columns = ("rank", "candidate", "validation", "test", "weight", "status", "seconds")
    board = _table(f"Leaderboard by {result.metrics.metric}", *columns)
    for row in result.leaderboard.head(_SHOWN_TRIALS).to_dicts():
        weight = f"{row['weight']:.2f}" if row["weight"] else ""
        name = f"{row['candidate']} #{row['trial']}"
        scores = (shown(row["score"]), shown(row["test_score"]))
        board.add_row(str(row["rank"]), name, *scores, weight, row["status"], f"{row['seconds']:.1f}")
    out.print(board)
    more = result.leaderboard.height - _SHOWN_TRIALS
    if more > 0:
        say(f"  and {more} more: autopilot runs {result.run.id}")
    if result.points:
        out.print(_frontier(result.points))
    out.print(_metrics(result.metrics))
    parity = result.best.card.parity
    say(
        f"Model [bold]{result.best.name}:{result.best.version}[/bold] in {result.seconds:.1f} s of "
        f"{result.run.budget_s:g} s. One ONNX file, {result.best.size_bytes / 1e6:.1f} MB, "
        f"{result.best.card.latency_us:.0f} us a row, within "
        f"{parity.max_abs_diff:.1g} of what was trained on {parity.rows:,} rows:\n  {result.onnx_path}"
    )
    say(f"\nNext:  [bold]autopilot deploy {result.best.name} --endpoint {result.best.name}[/bold]")


def _frontier(points: Sequence[Point]) -> Table:
    table = _table("What a better score costs", "us a row", "validation", "ensemble", "")
    for row in frontier_frame(points).to_dicts():
        mark = "published" if row["chosen"] else ""
        table.add_row(f"{row['latency_us']:.0f}", shown(row["score"]), row["members"], mark)
    return table


def _metrics(scores: Scores) -> Table:
    seen = f"On {scores.test_rows:,} rows that no decision has seen"
    if scores.test_error is not None:
        seen = (
            f"Few rows, so none are held out: {scores.metric} is a nested estimate, {shown(scores.test_score)} "
            f"± {scores.test_error:.2g}; all below by validation"
        )
    table = _table(seen, "metric", "model", "constant guess")
    for name, value in scores.test.items():
        style = "bold" if name == scores.metric else None
        table.add_row(name, shown(value), shown(scores.baseline[name]), style=style)
    return table


def print_card(found: "Description", address: str) -> None:
    """All of a model's card. address: of the server, for the example."""
    card, signature = found.card, found.signature
    classes = f" ({', '.join(map(str, signature.classes))})" if signature.classes else ""
    task = signature.task if signature.task == "regression" else f"{signature.task} classification"
    say(f"[bold]{escape(card.name)}[/bold]: {task} of {escape(repr(signature.target) + classes)}")
    say(f"made {minute_of(card.created_at)} from {card.rows:,} rows in {card.seconds:.1f} s, seed {card.seed}")
    out.print(_columns(signature.columns))
    more = len(signature.columns) - _SHOWN_COLUMNS
    if more > 0:
        say(f"  and {more:,} more columns: --json shows all")
    out.print(_members(card.members), _features(card.plans), _metrics(card.scores), _facts(found))
    if found.example is not None:
        row = msgspec.json.encode([found.example]).decode()
        say("Send it a row, once it is deployed:")
        out.print(
            f"curl -d {shlex.quote(row)} {address}/endpoints/{card.name}/invocations", markup=False, soft_wrap=True
        )


def _columns(columns: Sequence[Column]) -> Table:
    table = _table(f"Columns ({len(columns):,})", "column", "kind", "type in training", "range or levels", "nulls")
    for column in columns[:_SHOWN_COLUMNS]:
        dtype = column.dtype.partition("(")[0]
        nulls = "yes" if column.nullable else "no"
        table.add_row(escape(column.name), column.kind, dtype, escape(_range(column)), nulls)
    return table


def _range(column: Column) -> str:
    """What training saw of a column."""
    if column.kind == "category":
        return f"{len(column.levels):,} levels: {listed(column.levels)}" if column.levels else ""
    if column.minimum is None or column.maximum is None:
        return ""
    if column.kind == "time":
        return f"{_minute(column.minimum)} to {_minute(column.maximum)}"
    return f"{column.minimum:,.6g} to {column.maximum:,.6g}"


def _minute(time_us: float) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us):%Y-%m-%d %H:%M}"


def _members(members: Sequence[Member]) -> Table:
    table = _table("Ensemble", "candidate", "weight", "features", "parameters")
    for member in members:
        name = f"{member.candidate} #{member.trial}"
        table.add_row(name, f"{member.weight:.2f}", member.recipe, escape(_params(member.params)))
    return table


def _features(plans: dict[str, tuple[str, ...]]) -> Table:
    table = _table("Features", "for", "what is made of the columns")
    for recipe, steps in plans.items():
        for number, step in enumerate(steps):
            table.add_row("" if number else recipe, escape(step))
    return table


def _facts(found: "Description") -> Table:
    """The file: size, operators, how exact, what with."""
    table = Table("what", "", title="The file", title_justify="left", title_style="bold", show_header=False)
    table.columns[1].overflow = "fold"  # a digest that ends in dots is none
    altered = "" if found.intact else "  [bold red]ALTERED since it was made[/bold red]"
    table.add_row("size", f"{found.size_bytes / 1e6:,.2f} MB ({found.size_bytes:,} bytes)")
    table.add_row("sha256 of the graph", f"{found.card.digest}{altered}")
    table.add_row("operators", _operators(found))
    table.add_row("parity", escape(_certificate(found.card.parity)))
    if found.card.latency_us:
        table.add_row("one row", f"{found.card.latency_us:.0f} us where it was trained")
    for note in found.card.notes:
        table.add_row("", escape(note))
    if found.card.fairness:
        table.add_row("fairness", f"compared by the groups of {escape(listed(list(found.card.fairness)))}")
    table.add_row("test vectors", f"{found.vectors}; autopilot verify replays them" if found.vectors else "none")
    table.add_row("made with", ", ".join(f"{name} {version}" for name, version in found.card.versions.items()))
    return table


def _operators(found: "Description") -> str:
    """How many of which, and whether all are standard."""
    sets = ", ".join(f"{name} {version}" for name, version in found.opsets.items())
    standard = "not of the standard: " + ", ".join(found.contrib) if found.contrib else "all of the ONNX standard"
    counts = ", ".join(f"{count} {name}" for name, count in found.operators.items())
    return f"{sum(found.operators.values()):,} nodes of {len(found.operators)} operators ({sets}), {standard}: {counts}"


def _certificate(parity: Parity) -> str:
    """How far the file is from what was trained, where, and on how many rows."""
    where = f", furthest {parity.worst.words}" if parity.worst else ""
    real = f", {parity.real_rows:,} of them real" if parity.real_rows else ""
    return (
        f"{parity.rows:,} rows tried{real}; within {parity.max_abs_diff:.2g} of what was trained{where}; "
        f"{parity.label_flips} labels differ"
    )


def print_verification(found: "Verification") -> None:
    """What was compared, how far it is off, and the verdict."""
    intact = "as it was made" if found.intact else "[bold red]altered since it was made[/bold red]"
    say(f"graph         {intact} (sha256 {found.digest})")
    worst = f", in {found.worst}" if found.max_abs_diff else ""
    say(f"test vectors  {found.rows} replayed in {found.runtime}: {found.label_flips} labels differ")
    say(f"              largest difference {found.max_abs_diff:.2g}{escape(worst)}")
    say("[bold]verified[/bold]" if found.passed else "[bold red]not verified[/bold red]: do not use this file")


def print_models(models: Sequence[ModelVersion], aliases: Sequence[Alias] = ()) -> None:
    """Model versions."""
    table = _table("Models", "model", "task", "metric", "test score", "guess", "MB", "made")
    for model in models:
        scores = model.card.scores
        called = [one.name for one in aliases if (one.model, one.version) == (model.name, model.version)]
        table.add_row(
            "\n  ".join([f"{model.name}:{model.version}", *called]),
            model.signature.task,
            scores.metric,
            shown(scores.test_score),
            shown(scores.baseline_score),
            f"{model.size_bytes / 1e6:.1f}",
            f"{model.created_at:%Y-%m-%d %H:%M}",
        )
    _print_or_say(table, "No models yet. Make one:  autopilot fit DATA --target COLUMN")


def print_runs(runs: Sequence[Run]) -> None:
    """Runs, newest first."""
    table = _table("Runs", "run", "status", "target", "task", "model", "rows", "budget", "began")
    for run in runs:
        model = f"{run.model}:{run.version}" if run.model else run.reason or ""
        table.add_row(
            run.id,
            run.status,
            run.target,
            run.task,
            model,
            f"{run.rows:,}",
            f"{run.budget_s:g} s",
            f"{run.created_at:%Y-%m-%d %H:%M}",
        )
    _print_or_say(table, "No runs yet. Start one:  autopilot fit DATA --target COLUMN")


def print_jobs(jobs: "Sequence[Job]") -> None:
    """Runs that have not ended, newest first."""
    table = _table("Jobs", "run", "state", "target", "spent", "trials", "best", "doing")
    for job in jobs:
        spent = f"{job.spent_s:.0f} of {job.run.budget_s:g} s"
        best = f"{job.run.metric} {shown(job.best)}"
        table.add_row(job.run.id, job.state, job.run.target, spent, str(job.trials), best, job.phase)
    _print_or_say(table, "No run is at work, and none was interrupted.")
    if any(job.state == "interrupted" for job in jobs):
        say("\nNext:  [bold]autopilot fit --resume RUN[/bold]   or   autopilot jobs remove RUN")


def print_replayed(found: "Replayed") -> None:
    """Whether a run came out the same."""
    what = (
        f"{found.model}:{found.version} of run {found.run}, {found.trainings} trainings again in {found.seconds:.1f} s"
    )
    if found.same:
        say(f"[bold]The same to the bit:[/bold] {what}\n  {found.digest}")
        return
    say(f"[bold]Not the same:[/bold] {what}\n  published {found.expected}\n  now       {found.digest}")
    for different in found.differing:
        say(f"  {different} predicts something else")


def print_trials(trials: Sequence[Trial], metric: str) -> None:
    """One run's trials."""
    table = _table("Trials", "trial", "candidate", metric, "status", "seconds", "parameters", "reason")
    for trial in trials:
        table.add_row(
            str(trial.number),
            trial.candidate,
            shown(trial.score),
            trial.status,
            f"{trial.seconds:.1f}",
            _params(trial.params),
            trial.reason or "",
        )
    out.print(table)


def print_explanation(found: "Explanation") -> None:
    """The values of the first rows, the largest first, and how they were found."""
    shown_rows = found.frame().filter(pl.col("row") < _SHOWN_ROWS)
    table = _table(f"What each column added to {escape(found.target)}", *shown_rows.columns)
    for line in shown_rows.iter_rows():
        table.add_row(*(shown(x) if isinstance(x, float) else "" if x is None else escape(str(x)) for x in line))
    out.print(table)
    say(f"  {found.method}")
    if len(found.values) > _SHOWN_ROWS:
        say(f"  {len(found.values) - _SHOWN_ROWS} more rows: name a file by --out to get them")


def print_transformed(found: "Summary", target: str) -> None:
    """What was scored: of many files those that failed and some of the others, and the sum."""
    for name in found.ignored[:_SHOWN_ROWS]:
        say(f"  [dim]left out {escape(name)}: its name tells no format[/dim]")
    if len(found.files) > 1:
        out.print(_transformed_files(found))
    for file in [file for file in found.files if file.errors][:_SHOWN_ROWS]:
        say(f"  {file.bad_rows:,} rows of {escape(file.source)} were left out: {escape(str(file.errors))}")
    resumed = f", {found.resumed_rows:,} of them before" if found.resumed_rows else ""
    bad = f", {found.bad_rows:,} bad ones among them" if found.bad_rows else ""
    speed = (found.rows - found.resumed_rows) / max(found.seconds, 1e-9)
    say(f"{found.rows:,} rows predicted into {escape(target)}{resumed}{bad}")
    say(f"  {found.seconds:.1f} s, {speed:,.0f} rows/s")
    if found.failed:
        failed = f"{len(found.failed):,} of {len(found.files):,} files failed."
        say(f"[bold red]{failed}[/bold red] Mend them, and go on by --resume.")


def _transformed_files(found: "Summary") -> Table:
    table = _table("Files", "input", "rows", "bad", "output")
    for file in [*found.failed, *(file for file in found.files if not file.reason)][:_SHOWN_COLUMNS]:
        if file.reason:
            table.add_row(escape(file.source), "", "", escape(file.reason), style="red")
        else:
            table.add_row(escape(file.source), f"{file.rows:,}", f"{file.bad_rows:,}", escape(file.out))
    return table


def print_endpoints(endpoints: Sequence[Endpoint]) -> None:
    """Endpoints by name."""
    table = _table("Endpoints", "endpoint", "model", "revision", "capture", "updated")
    for endpoint in endpoints:
        table.add_row(
            endpoint.name,
            f"{endpoint.model}:{endpoint.version}",
            str(endpoint.revision),
            "on" if endpoint.capture else "off",
            f"{endpoint.updated_at:%Y-%m-%d %H:%M}",
        )
    _print_or_say(table, "No endpoints yet. Make one:  autopilot deploy MODEL --endpoint NAME")


def print_variants(endpoint: Endpoint) -> None:
    """What an endpoint serves, and to what share of requests."""
    table = _table(f"Endpoint {endpoint.name}, revision {endpoint.revision}", "variant", "model", "weight", "share")
    total = sum(variant.weight for variant in endpoint.variants)
    for variant in endpoint.variants:
        table.add_row(variant.name, variant.spec, f"{variant.weight:g}", f"{variant.weight / total:.1%}")
    for shadow in endpoint.shadows:
        table.add_row(shadow.name, shadow.spec, "shadow", f"{shadow.weight:.1%}", style="dim")
    out.print(table)


def print_endpoint(found: "EndpointView") -> None:
    """An endpoint with its state, its servers and its shadows."""
    print_variants(found.endpoint)
    reason = f": {escape(found.status.reason)}" if found.status.reason else ""
    say(f"[bold]{found.status.state}[/bold]{reason}")
    limits = {"rows": found.endpoint.limits.max_rows, "bytes": found.endpoint.limits.max_body_bytes}
    if tight := [f"{most:,} {what}" for what, most in limits.items() if most is not None]:
        say(f"A request may have {' and '.join(tight)}.")
    if found.status.servers:
        out.print(_servers(found.status.servers))
    if found.shadows:
        out.print(_shadows(found.shadows))


def print_capture(endpoint: Endpoint) -> None:
    """What is kept of an endpoint's requests and answers."""
    policy = endpoint.capture
    if policy.share == 0:
        say(f"Nothing is captured of endpoint [bold]{endpoint.name}[/bold].")
        return
    when = "before they are answered" if policy.mode == "sync" else "within 0.2 s of the answer"
    which = "All requests" if policy.share == 1 else f"{policy.share * 100:.4g}% of the requests"
    say(f"{which} to endpoint [bold]{endpoint.name}[/bold] are captured, {when}.")
    for column, how in sorted(policy.redact.items()):
        say(f"  {escape(column)}: {_REDACTED[how]}")


def print_exported(exported: "Exported", folder: Path) -> None:
    """What an export wrote."""
    say(
        f"{exported.requests:,} requests of {exported.rows:,} rows are in [bold]{escape(str(folder))}[/bold]: "
        f"{exported.files:,} files, {exported.bytes / 1e6:,.1f} MB."
    )


def print_labels(name: str, taken: "Received | None", found: "LabelSummary") -> None:
    """What became of labels, and how good the answers were by those that there are."""
    if taken is not None:
        say(
            f"[bold]{counted(taken.labels, 'label')}[/bold]: {taken.new:,} new, {taken.same:,} there already, "
            f"{taken.replaced:,} replaced"
        )
        if taken.unknown:
            ids = escape(listed(taken.unknown_ids))
            say(f"  {taken.unknown:,} are of rows that are not captured, or not yet, such as those of {ids}")
    if not found.versions:
        labels = counted(found.labels, "label")
        say(f"Endpoint [bold]{name}[/bold] has {labels}, of none of the rows that were captured then.")
        return
    table = _table(
        f"How good the answers were, by {counted(found.labels, 'label')}", "version", "rows", "metric", "", "95 %"
    )
    for version in found.versions:
        head = (f"{version.model}:{version.version}", f"{version.rows:,}")
        for number, value in enumerate(version.metrics):
            interval = f"{shown(value.low)} to {shown(value.high)}"
            table.add_row(*(("", "") if number else head), value.metric, shown(value.value), interval)
    out.print(table)


def print_replay(found: "Replay") -> None:
    """What came of captured requests that were asked again."""
    speed = found.rows / max(found.seconds, 1e-9)
    first = "" if found.is_whole else ", the first of those that there are"
    say(f"{found.rows:,} rows replayed in {found.seconds:.1f} s, {speed:,.0f} rows/s{first}")
    if found.as_missing:
        say(f"  {escape(listed(found.as_missing))} were not captured, and count as missing")
    if not found.rows:
        say(f"No request to [bold]{found.endpoint}[/bold] is captured in the window: --from 24h looks further back.")
    for same in found.same:
        _print_same(same)
    for against in found.against:
        _print_against(against, str(found.model))


def _print_same(found: "Same") -> None:
    name = f"{found.model}:{found.version}"
    if not found.different:
        say(f"[bold]The same to the bit:[/bold] {found.identical:,} rows of {name}")
    else:
        say(
            f"[bold red]Not the same:[/bold red] {found.different:,} of {found.rows:,} rows of {name}, by at most "
            f"{_small(found.max_difference)}"
        )
    if found.examples:
        out.print(_row_pairs("Rows", found.examples, "answered", "now"))


def _print_against(found: "Against", name: str) -> None:
    before = f"{found.model}:{found.version}"
    say(f"\n[bold]{name}[/bold] on {found.rows:,} rows that {before} has answered")
    if found.refused:
        say(f"  [red]{found.refused:,} more rows it cannot read[/red]: {escape(str(found.reason))}")
    if found.agreement is not None:
        say(f"  the same label in {found.agreement:.2%}")
    if found.mean_difference is not None:
        say(f"  apart by {_small(found.mean_difference)} on average, at most {_small(found.max_difference)}")
    changed = [one for one in found.decisions if one.old != one.new]
    if changed:
        table = _table("Changed decisions", before, name, "rows", "share")
        for one in changed[:_SHOWN_COLUMNS]:
            table.add_row(str(one.old), str(one.new), f"{one.rows:,}", f"{one.rows / found.rows:.2%}")
        out.print(table)
    if found.old is not None and found.new is not None:
        parts = ("mean", "std", "minimum", "q05", "median", "q95", "maximum")
        table = _table(escape(found.score), "version", *parts)
        for version, spread in ((before, found.old), (name, found.new)):
            table.add_row(version, *(_small(getattr(spread, part)) for part in parts))
        out.print(table)
    if found.quality:
        out.print(_quality(found.quality, found.labelled, before, name))
    if found.examples:
        out.print(_row_pairs("Rows that differ most", found.examples[:_SHOWN_TRIALS], before, name))


def _quality(pairs: "Sequence[MetricPair]", rows: int, before: str, name: str) -> Table:
    table = _table(f"Which was better, by {rows:,} labels", "metric", before, name, "difference", "95 %", "")
    for pair in pairs:
        gain = (pair.low, pair.high) if pair.greater_is_better else (-pair.high, -pair.low)
        verdict = "better" if gain[0] > 0 else "worse" if gain[1] < 0 else "may be luck"
        interval = f"{pair.low:+.4g} to {pair.high:+.4g}"
        style = {"better": "green", "worse": "red"}.get(verdict)
        row = (pair.metric, shown(pair.old), shown(pair.new), f"{pair.difference:+.4g}", interval, verdict)
        table.add_row(*row, style=style)
    return table


def _row_pairs(title: str, pairs: "Sequence[RowPair]", before: str, now: str) -> Table:
    """Outputs only: what was asked may be nobody's business."""
    table = _table(title, "inference id", "row", "time", before, now)
    for pair in pairs:
        old, new = (
            ", ".join(f"{name} {_small(value) if isinstance(value, float) else value}" for name, value in side.items())
            for side in (pair.old, pair.new)
        )
        when = f"{pair.time:%Y-%m-%d %H:%M:%S}"
        table.add_row(escape(pair.inference_id), str(pair.row), when, escape(old), escape(new))
    return table


def _servers(servers: "Sequence[ServerStatus]") -> Table:
    table = _table("Servers", "server", "host", "process", "revision", "why not the newest")
    for server in servers:
        style = "red" if server.reason else None
        row = (server.id[:8], server.host, str(server.pid), str(server.revision or ""), escape(server.reason or ""))
        table.add_row(*row, style=style)
    return table


def _shadows(reports: "Sequence[ShadowReport]") -> Table:
    table = _table("Shadows", "shadow", "beside", "rows", "same label", "difference", "95 % within")
    for report in reports:
        times = [found and f"{found.p95_ms:.2f}" for found in (report.shadow_latency, report.production_latency)]
        lost = [f"{count:,} requests {how}" for how, count in (("failed", report.failed), ("skipped", report.skipped))]
        table.add_row(
            f"{report.shadow} {report.model}",
            report.against,
            "\n".join([f"{report.rows:,}", *(text for text in lost if not text.startswith("0 "))]),
            "-" if report.agreement is None else f"{report.agreement:.2%}",
            f"{_small(report.mean_difference)}, at most {_small(report.max_difference)}",
            " and ".join(text or "-" for text in times) + " ms",
        )
    return table


def print_drift(report: dict[str, Any], address: str) -> None:
    """A drift report: drifted columns first."""
    what = "of traffic against the training sample" if "endpoint" in report else "against the reference"
    is_overruled = not report["drifted"] and any(column["drifted"] for column in report["columns"])
    title = f"{report['verdict']}{' of the table' if is_overruled else ''}: {counted(report['rows'], 'row')} {what}"
    tested = filter(_is_tested, report["columns"])
    has_p_values = all(column["p_value"] is not None for column in tested)  # other rules have distances, or both
    table = _table(title, "column", "test", "p-value" if has_p_values else "value", "alarms at", "effect", "verdict")
    harm = [one["column"] for one in (report.get("harm") or {}).get("columns", ())]
    place = {name: number for number, name in enumerate(harm)}
    order = sorted(report["columns"], key=lambda column: (not column["drifted"], -_difference(column)))
    order.sort(key=lambda column: place.get(column["name"], len(place)))
    if "sentence" in report:
        say(escape(report["sentence"]))
    for column in order:
        is_judged = not column["verdict"].startswith("not")
        table.add_row(
            escape(column["name"]),
            column["method"] if is_judged else "not tested",
            _small(_value(column) if is_judged else None),
            _small(column["threshold"]) if report["method"] == "calibrated" else _alarms_at(column),
            _small(column["effect"] if is_judged else column["unjudged"]),
            column["verdict"],
            style="bold red" if column["drifted"] else None,
        )
    out.print(table)
    for line in _remarks(order, report):
        say(escape(f"  {line}"))
    for line in _sections(report):
        say(escape(f"  {line}"))
    for one in report.get("left_out", ()):
        say(escape(f"  Left out: {one['section']}. {one['reason']}"))
    what = "The report" if Path(address).suffix in (".md", ".json") else "The page with charts"
    say(f"{what}:  {escape(address)}")


def _remarks(columns: Sequence[dict[str, Any]], report: dict[str, Any]) -> Iterator[str]:
    """What the table does not show: notes, but of columns as usual; trifles; columns that are new."""
    is_ours, least = report["method"] == "calibrated", report["minimum_effect"]
    told = [column for column in columns if not _is_tested(column) or _difference(column) >= least]
    for note in dict.fromkeys(column["note"] for column in told if column["note"]):
        names = [column["name"] for column in told if column["note"] == note]
        yield f"{names[0] if len(names) == 1 else listed(names)}: {note}"
    if trifles := [column["name"] for column in columns if is_ours and not column["drifted"] and _is_certain(column)]:
        yield f"No accident, but less than the {least * 100:g}% that raise an alarm: {listed(trifles)}."
    if report["extra"]:
        yield f"Only the current rows have {listed(report['extra'])}; there is nothing to compare them with."


def _is_tested(column: dict[str, Any]) -> bool:
    """As `monitor.drift.ColumnDrift` has it."""
    return column["method"] != "none"


def _value(column: dict[str, Any]) -> float:
    """The p-value of a column that was tested, or its distance; JSON has null for an infinite one."""
    values = (column["p_value"], column["statistic"], math.inf)
    return next(value for value in values if value is not None)


def _difference(column: dict[str, Any]) -> float:
    """The largest effect, whether it was judged or not."""
    return max(column["effect"] or 0.0, column["unjudged"] or 0.0)


def _alarms_at(column: dict[str, Any]) -> str:
    """Of another product's rule, or of a measure: p-values alarm where they are small, distances where large."""
    if column["threshold"] is None:
        return "-"
    return f"{'>=' if column['p_value'] is None else '<='} {_small(column['threshold'])}"


def _is_certain(column: dict[str, Any]) -> bool:
    return _is_tested(column) and column["p_value"] <= column["threshold"]


def _sections(report: dict[str, Any]) -> Iterator[str]:
    """A line for each section of an endpoint's report below its columns."""
    if quality := report.get("quality"):
        found = len(quality["violations"])
        told = f" ({found}), such as: {quality['violations'][0]['sentence']}" if found else ""
        told += f". {quality['note'].removesuffix('.')}" if quality.get("note") else ""
        yield f"Data quality by the baseline {quality['baseline']}: {quality['verdict']}{told}"
    if both := report.get("multivariate"):
        yield f"All columns together: {both['verdict']}"
    for name, how, verb in (("realised", "by labels", "is"), ("estimated", "estimated", "is probably")):
        if found := report.get(name):
            notes = () if found["verdict"] in ("drop", "no drop") else found["whole"]["notes"]
            why = "".join(f". {note.removesuffix('.')}" for note in notes)
            yield f"Quality {how}: {found['verdict']}{_judged(found, verb)}{why}"
    if bias := report.get("bias"):
        groups = [one["name"] for one in bias["facets"] if any(m["outside"] or m["drifted"] for m in one["metrics"])]
        yield f"Bias: {bias['verdict']}" + (f" ({listed(groups)})" if groups else "")
    for one in report.get("attribution", ()):
        unknown = f"not looked at. {one['note']}" if one["ndcg"] is None else ""
        yield f"What the model looks at for {one['label']!r}: {unknown or ('drift' if one['drifted'] else 'no drift')}"


def _judged(found: dict[str, Any], verb: str) -> str:
    """The metric that is judged, in the whole window and in the reference."""
    now, before = (
        next((figure for figure in figures if figure["metric"] == found["metric"]), None)
        for figures in (found["whole"]["figures"], found["reference"])
    )
    if now is None or now["value"] is None:
        return ""
    was = "" if before is None or before["value"] is None else f", and was {_small(before['value'])}"
    return f"; {found['metric']} {verb} {_small(now['value'])} ({_small(now['low'])} to {_small(now['high'])}){was}"


def print_baseline(told: dict[str, Any]) -> None:
    """What each column of a data-quality baseline is asked."""
    out.print(_asked(f"Suggested by {counted(told['rows'], 'row')}", told["columns"]))
    print_finds(told["finds"])
    say(escape(f"Written to  {told['folder']}  (edit the constraints in baseline.json)"))


def print_kept(told: dict[str, Any]) -> None:
    """What an endpoint's rows are asked, and where that comes from."""
    out.print(_asked(escape(f"{told['endpoint']}: the baseline is {told['baseline']}"), told["columns"]))
    if told["folder"]:
        say(escape(f"Written to  {told['folder']}"))
    told_how = f"autopilot monitor baseline {told['folder'] or 'FILE'} --endpoint {told['endpoint']}"
    say(escape(f"To change it, edit a baseline.json and keep it:  {told_how}"))


def _asked(title: str, columns: Sequence[dict[str, Any]]) -> Table:
    table = _table(title, "column", "kind", "asked for")
    for column in columns:
        table.add_row(
            escape(column["name"]), column["kind"], escape(column["note"]) or ", ".join(sorted(column["constraints"]))
        )
    return table


def print_violations(told: dict[str, Any]) -> None:
    """What a check found: a sentence for each violation."""
    say(f"{told['verdict']}: {counted(told['rows'], 'row')}")
    if told.get("note"):  # not by SageMaker's rules
        say(f"  {told['note']}")
    for violation in told["violations"]:
        examples = ", ".join(violation.get("examples", ()))
        name = violation.get("feature_name")
        sentence = violation.get("sentence") or f"{name}: {violation['description']}"
        say(escape(f"  {sentence}{f' Such as {examples}.' if examples else ''}"))
    for unchecked in told.get("unchecked", ()):
        say(escape(f"  Column {unchecked['column']!r} was not checked: {unchecked['note']}"))


def print_finds(found: dict[str, Any]) -> None:
    """How small a drift a schedule, or a comparison, will find."""
    past = found.get("windows") or 0
    last = "as the last window had" if past == 1 else f"as the last {past:,} windows had"
    windows = f"windows of {counted(found['rows'], 'row')}{f', {last}' if past else ''}"
    title = f"The smallest drift found in {found['power']:.0%} of {windows}, at level {found['level']:.3g}"
    table = _table(title, "column", "shift", "in sd", "share of rows that change", "that go missing", "note")
    for one in found["columns"]:
        change = (_percent(one["moved"]), _percent(one["missing"]))
        name, note = escape(one["name"]), escape(one["note"])
        table.add_row(name, _small(one["shift"]), _small(one["shift_sd"]), *change, note)
    out.print(table)
    if found.get("left_out"):
        say(f"Not looked at: {counted(found['left_out'], 'more column')}.")


def print_backtest(found: dict[str, Any], zone: str) -> None:
    """What a schedule would have found: a line for each due time, and a sentence."""
    clock = ZoneInfo(zone)
    table = _table(f"Would have been due ({zone})", "due", "rows", "verdict", "drifted, by effect", "level", "alert")
    for one in found["outcomes"]:
        drifted = ", ".join(f"{column['name']} {_small(column['effect'])}" for column in one["drifted"])
        due = datetime.fromisoformat(one["scheduled_at"]).astimezone(clock)
        table.add_row(
            f"{due:%Y-%m-%d %H:%M}",
            f"{one['rows']:,}",
            one["verdict"],
            escape(drifted),
            _small(one["level"]),
            one["state"],
            style="bold red" if one["breached"] else None,
        )
    out.print(table)
    say(escape(found["sentence"]))


def print_doctor(found: dict[str, Any]) -> None:
    """Versions, settings with their origin, and the store's health."""
    versions = _table("Versions", "what", "version")
    for name, version in found["versions"].items():
        versions.add_row(name, version)
    settings = _table("Settings", "setting", "value", "from")
    for name, entry in found["settings"].items():
        settings.add_row(name, str(entry["value"]), entry["origin"])
    out.print(versions, settings)
    store = found["store"]
    if found["healthy"]:
        say(f"Store {store['path']}: healthy, schema {store['schema']}, {store['free_bytes'] / 1e9:.1f} GB free")
    else:
        say(f"[bold red]Store {store['path']}: {'; '.join(store['complaints'])}[/bold red]")
    for name, obstacle in found["channels"].items():
        say(escape(f"Channel {name} could not be told by a monitor that is started here: {obstacle}"))
    if found["monitor"] is not None:
        _print_monitoring(found["monitor"])


def _print_monitoring(found: dict[str, Any]) -> None:
    """Who follows the schedules, and the last check that was made for any."""
    for one in found["running"]:
        say(f"Monitor: process {one['pid']} on {one['host']}, since {_utc(one['started_at'])}")
    if not found["running"]:
        gone = found["gone"]
        heard = f"; the last was heard of at {_utc(gone[0]['seen_at'])}, and ended without a word" if gone else ""
        say(f"Monitor: none{heard}. `autopilot serve` starts one.")
        if found["schedules"]:
            say(f"[bold red]Nobody follows the schedules ({found['schedules']:,}) meanwhile.[/bold red]")
    if (last := found["last_check"]) is not None:
        say(
            f"Last check: {escape(last['schedule'])}, due {_utc(last['scheduled_at'])}, {last['status']} "
            f"at {_utc(last['ended_at'])}: {escape(last['verdict'] or last['reason'])}"
        )


def _utc(time: str) -> str:
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M:%S} UTC"


def _params(params: dict[str, Any]) -> str:
    return ", ".join(f"{name}={shown(value) if isinstance(value, float) else value}" for name, value in params.items())


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)  # the first is what a user copies
    return table


def _print_or_say(table: Table, otherwise: str) -> None:
    out.print(table if table.row_count else otherwise)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"

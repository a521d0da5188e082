"""Records as tables on a terminal."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from autopilot.progress import shown
from autopilot.result import Result
from storage.records import Endpoint, ModelVersion, Run, Trial

_SHOWN_TRIALS = 8
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """A line on standard output, never broken: addresses and paths can be copied."""
    out.print(text, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())


def print_result(result: Result) -> None:
    """Leaderboard, held-out metrics beside the constant guess, the model's name, and what to type next."""
    metric = result.metrics.metric
    board = _table(f"Leaderboard (validation {metric})", "rank", "candidate", metric, "weight", "status", "seconds")
    for row in result.leaderboard.head(_SHOWN_TRIALS).to_dicts():
        weight = f"{row['weight']:.2f}" if row["weight"] else ""
        name = f"{row['candidate']} #{row['trial']}"
        board.add_row(str(row["rank"]), name, shown(row["score"]), weight, row["status"], f"{row['seconds']:.1f}")
    out.print(board)
    more = result.leaderboard.height - _SHOWN_TRIALS
    if more > 0:
        say(f"  and {more} more: autopilot runs {result.run.id}")
    out.print(_metrics(result))
    parity = result.best.card.parity
    say(
        f"Model [bold]{result.best.name}:{result.best.version}[/bold] in {result.seconds:.1f} s of "
        f"{result.run.budget_s:g} s. One ONNX file, {result.best.size_bytes / 1e6:.1f} MB, within "
        f"{parity.max_abs_diff:.1g} of what was trained on {parity.rows:,} rows:\n  {result.onnx_path}"
    )
    say(f"\nNext:  [bold]autopilot deploy {result.best.name} --endpoint {result.best.name}[/bold]")


def _metrics(result: Result) -> Table:
    scores = result.metrics
    table = _table(f"On {scores.test_rows:,} rows that no decision has seen", "metric", "model", "constant guess")
    for name, value in scores.test.items():
        style = "bold" if name == scores.metric else None
        table.add_row(name, shown(value), shown(scores.baseline[name]), style=style)
    return table


def print_models(models: Sequence[ModelVersion]) -> None:
    """Model versions."""
    table = _table("Models", "model", "task", "metric", "test score", "guess", "MB", "made")
    for model in models:
        scores = model.card.scores
        table.add_row(
            f"{model.name}:{model.version}",
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
            ", ".join(f"{name}={shown(v) if isinstance(v, float) else v}" for name, v in trial.params.items()),
            trial.reason or "",
        )
    out.print(table)


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


def print_drift(report: dict[str, Any], address: str) -> None:
    """A drift report: drifted columns first."""
    title = f"{report['verdict']}: {report['rows']:,} rows of traffic against the training sample"
    table = _table(title, "column", "test", "p-value", "alarm below", "effect", "drifted")
    order = sorted(report["columns"], key=lambda column: (not column["drifted"], -(column["effect"] or 0)))
    for column in order:
        table.add_row(
            column["name"],
            column["method"],
            _small(column["p_value"]),
            _small(column["threshold"]),
            _small(column["effect"]),
            "yes" if column["drifted"] else "no",
            style="bold red" if column["drifted"] else None,
        )
    out.print(table)
    say(f"The page with charts:  {address}")


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


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)  # the first is what a user copies
    return table


def _print_or_say(table: Table, otherwise: str) -> None:
    out.print(table if table.row_count else otherwise)


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"

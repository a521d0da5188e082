"""The commands below `autopilot endpoints`: what is served, to whom, and what is kept of it.

They change records in the store; servers follow within a second. As in `cli.py`, what a command needs is imported
inside it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from autopilot.parameters import Delimiter, Json, StorePath, open_store

_VARIANT = (
    "Such as main=churn:2@90, and new=churn:3@10 beside it: name, model version, weight. A variant gets its weight's "
    "share of their sum; without one it keeps its own (1 after `deploy`), and a new one has 0."
)
_SHADOW = "Such as next=churn:4@0.5: name, model version, share of requests; may be given several times."
_GUARD = (
    "What takes it back: errors, latency or latency=50ms, scores or scores=0.05 (a difference that is let pass); may "
    "be given several times. errors and latency by default."
)

endpoints = App(name="endpoints", help="Endpoints: list them, and change what they serve and keep.")


@endpoints.default
def endpoints_list(*, store: StorePath = None, json: Json = False) -> None:
    """List the endpoints."""
    from autopilot import terminal

    found = open_store(store).endpoints.list()
    terminal.print_json(found) if json else terminal.print_endpoints(found)


@endpoints.command(name="show")
def endpoints_show(name: str, /, *, store: StorePath = None, json: Json = False) -> None:
    """Show an endpoint: its variants, what state it is in, what each server makes of it, and how its shadows do."""
    from msgspec.structs import replace

    from autopilot import terminal
    from autopilot.endpoint_changes import view
    from storage.rollouts import with_stopped

    opened = open_store(store)
    found = view(opened, name, datetime.now(UTC))
    rollouts = opened.rollouts.list(endpoint=name, limit=1)
    found = replace(found, status=with_stopped(found.status, found.endpoint, rollouts))
    terminal.print_json(found) if json else terminal.print_endpoint(found)


@endpoints.command(name="update")
def endpoints_update(
    name: str,
    /,
    *,
    variant: Annotated[list[str] | None, Parameter(negative="", help=_VARIANT)] = None,
    shadow: Annotated[list[str] | None, Parameter(negative="", help=_SHADOW)] = None,
    remove: Annotated[list[str] | None, Parameter(negative="", help="Take away a variant or shadow.")] = None,
    max_rows: int | None = None,
    max_body_bytes: int | None = None,
    provider: Literal["cpu", "cuda"] | None = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Change the variants, shadows and limits of an endpoint, or make one; servers that run follow at once.

    Parameters
    ----------
    name
        Of the endpoint. What is not named here stays as it is.
    max_rows
        Of one request; 0 leaves it to the server.
    max_body_bytes
        Of one request; 0 leaves it to the server.
    provider
        Where the models run; cuda falls back to the CPU, and says so, where there is none.
    """
    from autopilot import terminal
    from autopilot.endpoint_changes import Update, update

    asked = Update(variant or (), shadow or (), remove or (), max_rows, max_body_bytes, provider)
    changed = update(open_store(store), name, asked, datetime.now(UTC))
    terminal.print_json(changed) if json else terminal.print_variants(changed)


@endpoints.command(name="weights")
def endpoints_weights(name: str, /, *weights: str, store: StorePath = None, json: Json = False) -> None:
    """Give variants other weights, such as main=90 new=10; those not named keep theirs."""
    from autopilot import terminal
    from autopilot.endpoint_changes import weights_of

    changed = open_store(store).endpoints.set_weights(name, weights_of(weights), datetime.now(UTC))
    terminal.print_json(changed) if json else terminal.print_variants(changed)


@endpoints.command(name="delete")
def endpoints_delete(name: str, /, *, store: StorePath = None, json: Json = False) -> None:
    """Delete an endpoint and its schedules; captured traffic and reports stay."""
    from autopilot import terminal

    open_store(store).endpoints.delete(name, datetime.now(UTC))
    terminal.print_json({"deleted": name}) if json else terminal.say(f"Endpoint [bold]{name}[/bold] is deleted.")


@endpoints.command(name="capture")
def endpoints_capture(
    name: str,
    /,
    *,
    share: float | None = None,
    mode: Literal["async", "sync"] | None = None,
    redact: Annotated[list[str] | None, Parameter(negative="")] = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Show or change what is captured of an endpoint's requests and answers; servers that run follow at once.

    Parameters
    ----------
    name
        Of the endpoint. What is not given here stays as it is.
    share
        Of the requests, 0 to 1; the same inference id is always captured, or never.
    mode
        async answers first, and a killed server loses what it answered in the last 0.2 s. sync answers what is
        captured, and loses nothing; if it cannot be, it answers with an error.
    redact
        Such as age=drop, name=mask (only whether there was a value), email=hash (a digest, equal for equal values), or
        age=keep to take that back; may be given several times.
    """
    from autopilot import terminal
    from autopilot.endpoint_capture import CaptureChange, change_capture

    change = CaptureChange(share, mode, tuple(redact or ()))
    endpoint = change_capture(open_store(store), name, change, datetime.now(UTC))
    terminal.print_json(endpoint.capture) if json else terminal.print_capture(endpoint)


@endpoints.command(name="export")
def endpoints_export(
    name: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    start: Annotated[str, Parameter(name="--from")] = "24h",
    end: Annotated[str, Parameter(name="--to")] = "0s",
    format: Literal["sagemaker", "parquet", "csv"] = "sagemaker",
    variant: str | None = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Write captured requests and answers to files.

    Parameters
    ----------
    name
        Of the endpoint.
    out
        Folder that is made for them; it may not exist.
    start
        When the first was answered: 2024-05-01, 2024-05-01T13:30:00Z, or 24h for a day ago.
    end
        When the last was answered, likewise; what was answered just then is left out.
    format
        sagemaker: data capture as SageMaker has it, JSON Lines below NAME/VARIANT/yyyy/mm/dd/hh; parquet and csv: by
        variant, date and hour.
    variant
        Only what this variant answered.
    """
    from autopilot import terminal
    from storage.capture_export import export_captures
    from storage.instants import instant_of

    now = datetime.now(UTC)
    first, last = instant_of(start, "--from", now), instant_of(end, "--to", now)
    exported = export_captures(open_store(store), name, first, last, out, format=format, variant=variant)
    terminal.print_json(exported) if json else terminal.print_exported(exported, out)


@endpoints.command(name="labels")
def endpoints_labels(
    name: str,
    file: str | None = None,
    /,
    *,
    id_: Annotated[str | None, Parameter(name="--id")] = None,
    label: str = "label",
    row: str | None = None,
    at: str | None = None,
    replace: Annotated[bool, Parameter(negative="", help="Labels that are there give way to others.")] = False,
    delimiter: Delimiter = ",",
    start: Annotated[str | None, Parameter(name="--from")] = None,
    end: Annotated[str, Parameter(name="--to")] = "0s",
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Take in what became of captured rows, and tell how good the answers were.

    Parameters
    ----------
    name
        Of the endpoint.
    file
        csv, tsv, parquet, ndjson or arrow, also with .gz or .zst, SageMaker's ground truth in JSON Lines, a folder or
        pattern of such files, or one at s3://, gs:// or az://. All labels are kept, or none. Without a file, only the
        answers are told of.
    id_
        Column of the inference id; by default inference_id.
    label
        Column of what happened: a class, or a number.
    row
        Column of the row's number within its request, from 0; by default row, and 0 where there is no such column.
    at
        Column of when it came to be known; by default happened_at, and now where there is no such column.
    start
        Answers are told of that were given from then on: 2024-05-01, 2024-05-01T13:30:00Z, or 24h for a day ago; by
        default all.
    end
        When the last was answered, likewise.
    """
    from autopilot import terminal
    from autopilot.endpoint_truth import take_labels
    from storage.instants import instant_of
    from storage.labels.files import LabelColumns
    from storage.labels.joined import label_summary

    opened, now = open_store(store), datetime.now(UTC)
    first = None if start is None else instant_of(start, "--from", now)
    last = instant_of(end, "--to", now)
    columns = LabelColumns(label, id_, row, at)
    taken = file and take_labels(opened, name, file, now, columns, delimiter=delimiter, replace=replace)
    summary = label_summary(opened, name, first, last)
    if json:
        terminal.print_json({"received": taken or None, "labels": summary.labels, "versions": summary.versions})
    else:
        terminal.print_labels(name, taken or None, summary)


@endpoints.command(name="replay")
def endpoints_replay(
    name: str,
    /,
    *,
    start: Annotated[str | None, Parameter(name="--from")] = None,
    end: Annotated[str, Parameter(name="--to")] = "0s",
    id_: Annotated[str | None, Parameter(name="--id", help="Only the requests with this inference id.")] = None,
    model: str | None = None,
    rows: int | None = None,
    allow_redacted: Annotated[bool, Parameter(negative="", help="Redacted columns count as missing.")] = False,
    out: Annotated[str | None, Parameter(name=["--out", "-o"], help="Also write the rows to this file.")] = None,
    store: StorePath = None,
    json: Json = False,
) -> int:
    """Ask captured requests again: are the answers the same to the bit, or what would another version have said?

    Parameters
    ----------
    name
        Of the endpoint.
    start
        When the first was answered: 2024-05-01, 2024-05-01T13:30:00Z, or 24h for a day ago; by default an hour before
        --to, and with --id any time.
    end
        When the last was answered, likewise; what was answered just then is left out.
    model
        Another version, such as churn:7, or churn for the newest; by default each row's own. Exit code 1 then tells
        that an answer is not the same.
    rows
        About so many, the first of them.
    """
    from autopilot import terminal
    from autopilot.endpoint_truth import replay_into
    from storage.instants import instant_of
    from storage.replay import ReplaySpec

    now = datetime.now(UTC)
    spec = ReplaySpec(
        start=None if start is None else instant_of(start, "--from", now),
        end=instant_of(end, "--to", now),
        inference_id=id_,
        model=model,
        allow_redacted=allow_redacted,
        most_rows=rows,
    )
    found = replay_into(open_store(store), name, spec, now, out)
    terminal.print_json(found) if json else terminal.print_replay(found)
    return 0 if found.is_identical else 1


@endpoints.command(name="rollout")
def endpoints_rollout(
    name: str,
    model: str | None = None,
    /,
    *,
    canary: str | None = None,
    linear: str | None = None,
    blue_green: Annotated[bool, Parameter(negative="")] = False,
    wait: str | None = None,
    every: str | None = None,
    alpha: float = 0.01,
    guard: Annotated[list[str] | None, Parameter(negative="", help=_GUARD)] = None,
    minimum: int = 30,
    follow: bool = True,
    store: StorePath = None,
    json: Json = False,
) -> int:
    """Give an endpoint a new version step by step; it is taken back by itself if it does harm.

    The exit code is 1 if it was taken back or stopped.

    Parameters
    ----------
    name
        Of the endpoint.
    model
        The new version, such as churn:4, or churn for the newest; without it the roll-out that runs is followed.
    canary
        Share of requests for the new version first, such as 10% (the default); all after the wait.
    linear
        Share of requests that it gets more in each step, such as 10%.
    blue_green
        All requests at once; the old version is kept for the wait, and taken back at once.
    wait
        Until it has proved itself, such as 30s, 5m or 1h; 5m by default.
    every
        The same for each step of a linear roll-out.
    alpha
        Chance that a roll-out that does no harm is taken back.
    minimum
        Requests that it has to have answered in each step.
    follow
        Wait for the end; --no-follow leaves it to the servers. Ctrl-C does so too.
    """
    from autopilot import rollouts, terminal

    opened = open_store(store)
    if model is None:
        begun = rollouts.running(opened, name)
    else:
        plan = rollouts.plan_of(
            model,
            canary=canary,
            linear=linear,
            blue_green=blue_green,
            wait=wait,
            every=every,
            alpha=alpha,
            guards=guard or (),
            minimum=minimum,
        )
        begun = opened.rollouts.start(name, plan, datetime.now(UTC))
    terminal.err.print(rollouts.described(begun), markup=False, soft_wrap=True)
    ended = rollouts.follow_on_terminal(opened, begun) if follow else begun
    if json:
        terminal.print_json(ended)
    return 0 if ended.status in ("running", "completed") else 1


@endpoints.command(name="rollback")
def endpoints_rollback(name: str, /, *, store: StorePath = None, json: Json = False) -> None:
    """Take back the roll-out that runs on an endpoint, at once; without one, the last that was completed or stopped."""
    from autopilot import rollouts, terminal

    ended = open_store(store).rollouts.rollback(name, datetime.now(UTC))
    terminal.print_json(ended) if json else terminal.say(rollouts.ending(ended))


@endpoints.command(name="stop")
def endpoints_stop(name: str, /, *, store: StorePath = None, json: Json = False) -> None:
    """End the roll-out that runs on an endpoint, and leave its variants as they are."""
    from autopilot import rollouts, terminal

    ended = open_store(store).rollouts.stop(name, datetime.now(UTC))
    terminal.print_json(ended) if json else terminal.say(rollouts.ending(ended))

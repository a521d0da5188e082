"""`autopilot demo`: the whole way on a real table, as a user would go it.

Fit on the flights of January to April, deploy and serve the model, send the flights of the months after as live traffic
over HTTP, and let the monitor judge it. What the seasons do to a model is real; nothing is staged.
"""

import http.client
import json
import socket
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import polars as pl
from rich.progress import track

from autopilot import servers, terminal
from autopilot.fit import fit
from storage.errors import FailureError
from storage.store import Store

_NAME = "flights"
_TARGET = "late"
_CUT = datetime(2013, 5, 1)  # noqa: DTZ001 - the table is in New York's local time, without a zone
_LIVE_ROWS = 4000
_ROWS_A_REQUEST = 40
_SINGLE_ROWS = 300
_START_S = 60
_CAPTURE_S = 3.0


def run(store: Store, budget: str, host: str, port: int, *, stays: bool) -> int:
    """Show it; gives the exit code. stays: keep serving until Ctrl-C."""
    say = terminal.say
    early, live = _flights()
    say(f"[bold]1  Fit[/bold] on {early.height:,} New York flights of January to April 2013: who will be late?\n")
    result = fit(early, _TARGET, name=_NAME, budget=budget, store=store)
    terminal.print_result(result)

    say("\n[bold]2  Deploy and serve[/bold]")
    result.deploy(_NAME)
    port = _free_port(host, port)
    with servers.running(str(store.root), host, port) as running:
        _wait_for(host, port, running)
        say(f"Answering at http://{host}:{port}/endpoints/{_NAME}/invocations")

        say(f"\n[bold]3  Live traffic[/bold]: {live.height:,} flights of May to December, over HTTP")
        began = datetime.now(UTC)
        latencies, late = _send(host, port, live)
        say(
            f"One row takes {statistics.median(latencies) * 1e3:.2f} ms at the client, "
            f"{statistics.quantiles(latencies, n=100)[98] * 1e3:.2f} ms at the 99th percentile. "
            f"{late:.0%} are predicted to be late."
        )

        say("\n[bold]4  Drift[/bold]: is this the traffic that the model was trained for?")
        time.sleep(_CAPTURE_S)  # what the server captures is complete after two seconds
        report = servers.ask_monitor("run", _NAME, "--store", str(store.root), "--since", began.isoformat())
        base = f"http://{host}:{port}"
        terminal.print_drift(report, f"{base}/reports/{report['id']}")
        say(_found(report))
        say(
            f"\n[bold]5  Look around[/bold]\n  {base}/                        endpoints and reports\n"
            f"  {base}/reports/{report['id']}   the drift report\n"
            f"  {base}/schema                  OpenAPI\n"
            f"  autopilot models | runs | endpoints   what the store {store.root} holds"
        )
        if stays:
            say("\nServing until Ctrl-C.")
            _stay(running)
    return 0


def _flights() -> tuple[pl.DataFrame, pl.DataFrame]:
    """The early months, and a sample of the later ones in the order of their departure."""
    flights = pl.read_parquet(files("autopilot").joinpath("demo_data/flights.parquet").read_bytes())
    is_early = pl.col("scheduled_departure") < _CUT
    later = flights.filter(~is_early)
    return flights.filter(is_early), later.gather_every(max(1, later.height // _LIVE_ROWS)).head(_LIVE_ROWS)


def _free_port(host: str, port: int) -> int:
    """The port, or one that the system picks if it is taken."""
    for wanted in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, wanted))
            except OSError:
                terminal.say(f"Port {wanted} is in use; taking a free one.")
                continue
            return int(probe.getsockname()[1])
    raise FailureError(f"No port is free on {host}. Name one with --port.")


def _wait_for(host: str, port: int, running: servers.Servers) -> None:
    """Until the endpoint answers."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if not running.look():
            raise FailureError("The server ended as it started; its message stands above.")
        try:
            connection = http.client.HTTPConnection(host, port, timeout=5)
            connection.request("GET", "/api/endpoints")
            answer = connection.getresponse()
            if answer.status == 200 and _NAME in answer.read().decode():
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise FailureError(f"The server did not answer on port {port} within {_START_S} s.")


def _send(host: str, port: int, live: pl.DataFrame) -> tuple[list[float], float]:
    """Send all rows, some one by one; gives the seconds of single rows, and the share predicted to be late."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    labels: list[str] = []
    latencies: list[float] = []
    batches = list(_batches(live))
    for batch in track(batches, description="sending", console=terminal.err, transient=True):
        began = time.perf_counter()
        answer = _post(connection, batch)
        if batch.height == 1:
            latencies.append(time.perf_counter() - began)
        labels += [row["label"] for row in answer["predictions"]]
    return latencies, labels.count("yes") / len(labels)


def _batches(live: pl.DataFrame) -> Iterator[pl.DataFrame]:
    singles, rest = live.head(_SINGLE_ROWS), live[_SINGLE_ROWS:]
    yield from singles.iter_slices(1)
    yield from rest.iter_slices(_ROWS_A_REQUEST)


def _post(connection: http.client.HTTPConnection, rows: pl.DataFrame) -> dict[str, Any]:
    body = rows.drop(_TARGET).write_json()
    connection.request("POST", f"/endpoints/{_NAME}/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise FailureError(f"The server answered {answer.status}: {data.decode(errors='replace')}")
    return json.loads(data)


def _found(report: dict[str, Any]) -> str:
    drifted = [column["name"] for column in report["columns"] if column["drifted"]]
    if not drifted:
        return "Nothing drifted."
    return f"Drifted: {', '.join(drifted)}. Summer is not winter: a model of the first months should be fitted again."


def _stay(running: servers.Servers) -> None:
    try:
        while running.look():
            time.sleep(0.5)
    except KeyboardInterrupt:
        terminal.say("Stopped.")

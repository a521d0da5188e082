"""One row at a time: what does an answer cost, beside servers that do less?

Servers take turns, in rounds, so that whatever else the machine does falls on all of them. Requests a second and
latencies are those of a server's best round, its CPU the least of its rounds: neighbours only ever add. `elsewhere` is
what the rest of the machine did in that round: where it is not near 0, only CPU compares.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench._serving import wrk
from bench._serving.lines import Lines, print_table, read_lines, told
from bench._serving.processes import NotReadyError, Server, busy_s, free_port, serving_command, started
from bench._serving.subject import PATH, Subject

FLOOR = "litestar echo"
_FLOORS = {"raw ASGI": "raw", "raw ASGI, model": "model", FLOOR: "echo"}
_OURS = {"serving": True, "serving, uncaptured": False}
_SETTLE_S = 0.5  # what was captured is written 0.2 s later, and belongs to the requests


class Run(msgspec.Struct, frozen=True, tag_field="question", tag="throughput"):
    """One run of wrk against one server. cpu_us: of all its processes, for each request."""

    server: str
    connections: int
    round: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float | None
    elsewhere_cores: float


def measure(
    subject: Subject,
    lines: Lines,
    *,
    cpu: str,
    rounds: int,
    seconds: int,
    connections: Sequence[int],
    granian: str | None,
    peers: Path | None,
) -> None:
    """Ask each server in each round, and print a table for each number of connections."""
    packages = _packages_of(granian) if granian else None
    if not granian:
        print("\ngranian: skipped; --granian PYTHON names a Python that has it", flush=True)
    runs: list[Run] = []
    for number in range(rounds):
        for name in _names(packages):
            try:
                for run in _ask(subject, name, packages, number, cpu=cpu, seconds=seconds, connections=connections):
                    runs.append(run)
                    lines.add(run)
            except NotReadyError as error:
                print(f"{name}: {error}", flush=True)
    for count in connections:
        _print(count, [run for run in [*runs, *read_lines(peers, Run)] if run.connections == count])


def _names(packages: str | None) -> list[str]:
    names = [*_FLOORS, *_OURS]
    return names + [f"{name}, granian" for name in names if packages]


def _ask(
    subject: Subject,
    name: str,
    packages: str | None,
    number: int,
    *,
    cpu: str,
    seconds: int,
    connections: Sequence[int],
) -> list[Run]:
    """Start a server, warm it for a second, and let wrk ask it."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with started(_command(subject, name, packages, port, Path(folder)), port, cpu) as server:
            wrk.ask(server.url + PATH, subject.bodies, 32, 1)
            return [_run(server, subject, name, number, count, seconds) for count in connections]


def _run(server: Server, subject: Subject, name: str, number: int, connections: int, seconds: int) -> Run:
    time.sleep(_SETTLE_S)
    spent, busy, load, began = server.cpu_s(), busy_s(), _load_s(), time.perf_counter()
    seen = wrk.ask(server.url + PATH, subject.bodies, connections, seconds)
    time.sleep(_SETTLE_S)
    spent = server.cpu_s() - spent
    others_s = busy_s() - busy - spent - (_load_s() - load)
    return Run(
        server=name,
        connections=connections,
        round=number,
        requests_per_s=round(seen.requests / seen.seconds, 1),
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        cpu_us=round(spent / seen.requests * 1e6, 1),
        elsewhere_cores=round(max(0.0, others_s / (time.perf_counter() - began)), 2),
    )


def _load_s() -> float:
    """CPU seconds of this process and of the children that have ended: wrk's are among them, a server's not yet."""
    return sum(os.times()[:4])


def _command(subject: Subject, name: str, packages: str | None, port: int, folder: Path) -> list[str]:
    app, in_granian = name.removesuffix(", granian"), name.endswith(", granian")
    holds = subject.store(folder, capture=_OURS[app]) if app in _OURS else subject.folder
    if app in _OURS and not in_granian:
        return serving_command(holds, port)
    command = [sys.executable, "-m", "bench._serving.apps", _FLOORS.get(app, "serving")]
    command += ["--folder", str(holds), "--port", str(port)]
    return command + (["--granian", str(packages)] if in_granian else [])


def _packages_of(python: str) -> str:
    """The folder from which a Python imports granian."""
    code = "import granian, pathlib; print(pathlib.Path(granian.__file__).parents[1])"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _print(connections: int, runs: list[Run]) -> None:
    by_server: dict[str, list[Run]] = {}
    for run in runs:
        by_server.setdefault(run.server, []).append(run)
    floor = by_server.get(FLOOR)
    head = ["server", "requests/s", "median", "of echo", "p50 ms", "p99 ms", "CPU µs", "of echo", "elsewhere"]
    title = f"One row, {connections} connection{'s' * (connections > 1)}; 'of echo' is to {FLOOR}"
    print_table(title, head, [_row(name, own, floor) for name, own in by_server.items()])


def _row(name: str, own: list[Run], floor: list[Run] | None) -> list[str]:
    best, cpu_us = _best(own), _least_cpu_us(own)
    floor_us = _least_cpu_us(floor) if floor else None
    return [
        name,
        told(best.requests_per_s),
        told(median(run.requests_per_s for run in own)),
        told(best.requests_per_s / _best(floor).requests_per_s if floor else None, ".2f"),
        told(best.p50_ms, ".2f"),
        told(best.p99_ms, ".2f"),
        told(cpu_us),
        told(cpu_us / floor_us if cpu_us and floor_us else None, ".2f"),
        told(best.elsewhere_cores, ".2f"),
    ]


def _best(runs: list[Run]) -> Run:
    return max(runs, key=lambda run: run.requests_per_s)


def _least_cpu_us(runs: list[Run]) -> float | None:
    return min((run.cpu_us for run in runs if run.cpu_us), default=None)

"""More than can be answered: how much is still answered in time?

First the peak: the most that the server answers to connections that wait for their answers. Then, on the same server,
requests that are due at random at so many times the peak (`open_loop.py`), with a deadline that the server is told by
`X-Request-Timeout-Ms`. Goodput is what was answered with 200 within the deadline, counted from when it was due. A
server that answers whom it can and refuses the others at once keeps its goodput at the peak; one that lets everybody
wait loses all. `late` was answered too late, `unsent` found no connection in time, `lost` had no answer at all.

What the load itself can do at most is told first: measured against a process that sends bytes for bytes.
"""

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench._serving.lines import Lines, print_table, told
from bench._serving.open_loop import Load, Seen, ask
from bench._serving.processes import Server, answers, free_port, serving_command, started
from bench._serving.subject import PATH, Subject, json_array

_FEW, _MANY = 32, 256  # waiting connections; a server that runs single rows together is at its best with many
_LARGE_BODIES = 64  # of many rows: as many different trees are walked as in 2,000 of one
_REST_S = 30.0


class Overload(msgspec.Struct, frozen=True, tag_field="question", tag="overload"):
    """One load. rows: of a request. times: the peak; 0 for the peak itself. cpu_share: of the server's CPU."""

    rows: int
    deadline_ms: int
    times: float
    peak_per_s: float
    seen: Seen
    cpu_share: float


def measure(
    subject: Subject,
    lines: Lines,
    *,
    cpu: str,
    seconds: float,
    loads: Sequence[float],
    deadlines_ms: Mapping[int, int],
    connections: int,
    capture: bool,
) -> None:
    """Print what the load can do, then a table for each size. deadlines_ms: by rows of a request.

    connections: over which requests come that are due; few of them hold back what the server cannot answer, as a load
    balancer's do, and then there is little to refuse.
    """
    limit = _limit(subject, cpu, seconds)
    print(f"\nthe load's own limit: {told(limit)} requests/s of one row", flush=True)
    for rows, deadline_ms in deadlines_ms.items():
        with tempfile.TemporaryDirectory() as folder:
            bodies, port = _bodies(subject, rows, Path(folder)), free_port()
            store = subject.store(Path(folder), capture=capture)
            with started(serving_command(store, port), port, cpu) as server:
                found = _measure(server, bodies, rows, deadline_ms, loads, seconds, connections)
        for one in found:
            lines.add(one)
        _print(rows, deadline_ms, found)


def _measure(
    server: Server, bodies: Path, rows: int, deadline_ms: int, loads: Sequence[float], seconds: float, connections: int
) -> list[Overload]:
    ask(Load(server.port, PATH, str(bodies), 1.0, _FEW))  # warm
    waiting = [
        Load(server.port, PATH, str(bodies), seconds, count) for count in ([_FEW, _MANY] if rows == 1 else [_FEW])
    ]
    peaks = [_one(server, load, rows, deadline_ms, 0.0, 0.0) for load in waiting]
    peak = max(peaks, key=lambda one: one.peak_per_s)
    found = [peak]
    for number, times in enumerate(loads):
        _rest(server.port)
        rate = times * peak.peak_per_s
        load = Load(server.port, PATH, str(bodies), seconds, connections, rate, deadline_ms, seed=number)
        found.append(_one(server, load, rows, deadline_ms, times, peak.peak_per_s))
    return found


def _one(server: Server, load: Load, rows: int, deadline_ms: int, times: float, peak_per_s: float) -> Overload:
    spent_s = server.cpu_s()
    seen = ask(load)
    share = (server.cpu_s() - spent_s) / seen.seconds
    return Overload(rows, deadline_ms, times, peak_per_s or seen.good / seen.seconds, seen, round(share, 2))


def _rest(port: int) -> None:
    """Wait until the server has done what it was asked before."""
    end = time.perf_counter() + _REST_S
    while time.perf_counter() < end:
        began = time.perf_counter()
        if answers(port, 1.0) and time.perf_counter() - began < 0.05:
            break
        time.sleep(0.2)
    time.sleep(1.0)


def _limit(subject: Subject, cpu: str, seconds: float) -> float:
    """Answers a second from a process that looks at nothing."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "bench._serving.apps",
        "null",
        "--folder",
        str(subject.folder),
        "--port",
        str(port),
    ]
    with started(command, port, cpu):
        seen = ask(Load(port, PATH, str(subject.bodies), min(seconds, 3.0), _FEW))
    return seen.good / seen.seconds


def _bodies(subject: Subject, rows: int, folder: Path) -> Path:
    if rows == 1:
        return subject.bodies
    many = [subject.frame.sample(rows, with_replacement=True, seed=seed) for seed in range(_LARGE_BODIES)]
    path = folder / "bodies.jsonl"
    path.write_bytes(b"\n".join(map(json_array, many)))
    return path


def _print(rows: int, deadline_ms: int, found: list[Overload]) -> None:
    head = ["load", "due/s", "goodput/s", "of peak", "p50 ms", "p99 ms", "refused", "late", "unsent", "lost"]
    head += ["client lag ms", "server CPU"]
    title = f"{rows} row{'s' * (rows > 1)} a request, deadline {deadline_ms} ms; p50 and p99 are of answers 200"
    print_table(title, head, [_row(one) for one in found])


def _row(one: Overload) -> list[str]:
    seen = one.seen
    refused = ", ".join(f"{status}: {count / seen.due:.1%}" for status, count in seen.refused.items())
    return [
        f"{one.times:g} x peak" if one.times else "peak, waiting",
        told(seen.due / seen.seconds),
        told(seen.good / seen.seconds),
        told(seen.good / seen.seconds / one.peak_per_s, ".0%"),
        told(seen.p50_ms, ".1f"),
        told(seen.p99_ms, ".1f"),
        refused or "0",
        *(told(count / max(seen.due, 1), ".1%") for count in (seen.late, seen.unsent, seen.lost)),
        told(seen.lag_p99_ms if one.times else None, ".1f"),
        told(one.cpu_share, ".0%"),
    ]

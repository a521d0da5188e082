"""A server that nobody asks: how long until it is ready, what does it hold, what does it spend?

Ready is the first `GET /ping` answered with 200, from the start of the process. The first start, which fills caches, is
not counted. Memory is looked at a second after that, and once more after 2,000 requests; PSS counts pages that several
processes share once, so divided by the workers it is what one more of them costs.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench._serving.lines import Lines, print_table, read_lines, told
from bench._serving.open_loop import Load, ask
from bench._serving.processes import NotReadyError, Server, free_port, serving_command, started
from bench._serving.subject import PATH, Subject

_FLOORS = {"raw ASGI": "raw", "litestar echo": "echo"}
_QUIET_S, _ASKED_S = 1.0, 10.0


class Rest(msgspec.Struct, frozen=True, tag_field="question", tag="rest"):
    """One server. rss_mb, pss_mb: of all its processes. after_mb: PSS once it has answered; None if not measured."""

    server: str
    workers: int
    ready_s: float | None
    rss_mb: float
    pss_mb: float
    after_mb: float | None
    idle_cpu_percent: float | None


def measure(
    subject: Subject, lines: Lines, *, cpu: str, starts: int, workers: Sequence[int], peers: Path | None
) -> None:
    """Start each server a few times, and print the table."""
    found: list[Rest] = []
    with tempfile.TemporaryDirectory() as folder:
        store = subject.store(Path(folder), capture=True)
        for name, count in [*((name, 1) for name in _FLOORS), *(("serving", count) for count in workers)]:
            try:
                found.append(_measure(subject, store, name, count, cpu, starts))
                lines.add(found[-1])
            except NotReadyError as error:
                print(f"{name}, {count} workers: n/a ({error})", flush=True)
    _print([*found, *read_lines(peers, Rest)])


def _measure(subject: Subject, store: Path, name: str, workers: int, cpu: str, starts: int) -> Rest:
    port = free_port()
    command = _command(subject, store, name, workers, port)
    ready: list[float] = []
    for _ in range(starts):
        with started(command, port, cpu) as server:
            ready.append(server.ready_s)
    with started(command, port, cpu) as server:
        return _rest(server, subject, name, workers, median([*ready[1:], server.ready_s]))


def _rest(server: Server, subject: Subject, name: str, workers: int, ready_s: float) -> Rest:
    time.sleep(_QUIET_S)
    memory, spent_s = server.memory(), server.cpu_s()
    time.sleep(_ASKED_S)
    idle_percent = (server.cpu_s() - spent_s) / _ASKED_S * 100
    ask(Load(server.port, PATH, str(subject.bodies), 2.0, workers * 8, rate=1_000.0))
    time.sleep(_QUIET_S)
    after_mb = server.memory().pss_mb
    rss_mb, pss_mb, after_mb = (round(mb, 1) for mb in (*memory, after_mb))
    return Rest(name, workers, round(ready_s, 3), rss_mb, pss_mb, after_mb, round(idle_percent, 2))


def _command(subject: Subject, store: Path, name: str, workers: int, port: int) -> list[str]:
    if name == "serving":
        return serving_command(store, port, *(["--workers", str(workers)] if workers > 1 else []))
    app = [sys.executable, "-m", "bench._serving.apps", _FLOORS[name]]
    return [*app, "--folder", str(subject.folder), "--port", str(port)]


def _print(found: list[Rest]) -> None:
    head = ["server", "workers", "ready s", "RSS MB", "PSS MB", "PSS MB/worker", "after 2,000", "idle CPU %"]
    print_table("At rest", head, [_row(one) for one in found])


def _row(one: Rest) -> list[str]:
    return [
        one.server,
        str(one.workers),
        told(one.ready_s, ".2f"),
        told(one.rss_mb),
        told(one.pss_mb),
        told(one.pss_mb / one.workers),
        told(one.after_mb),
        told(one.idle_cpu_percent, ".1f"),
    ]

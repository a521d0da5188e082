"""What do changes of a running server cost its clients, and what does a kill lose of what was captured?

    python -m bench.operations               all three questions
    python -m bench.operations swaps         200 new versions and 200 changes of weights while clients ask
    python -m bench.operations worker        one of two worker processes is killed while clients ask
    python -m bench.operations kill          kill -9 of the server: what was answered, and is not captured
    options: --changes 200   --rate 2000   --server-cpu 0   --load-cpu 1   --repeats 3

Roll-outs, batch transform, replay and what capture costs have measurements of their own: bench.rollouts, bench.batch,
bench.replay, bench.capture.

Load is open-loop (`bench/_serving/open_loop.py`): requests are due at random moments, whatever became of earlier ones.
"""

import argparse
import http.client
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Literal, cast

from msgspec.structs import replace

from bench._serving.lines import print_table, told
from bench._serving.open_loop import Load, Seen, ask
from bench._serving.processes import Server, free_port, serving_command, started, stay_on
from bench._serving.subject import ENDPOINT, PATH, Subject, prepare
from storage import Store
from storage.records import CapturePolicy, Variant

_CHANGE_S = 0.15  # between two changes: about each is seen by the server, which looks four times a second
_CLIENTS = 8
_KILL_AFTER_S = 2.0
_PATIENCE_S = 60.0


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", metavar="question")
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--rate", type=float, default=2_000.0)
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--load-cpu", default="1")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    questions = {"swaps": swaps, "worker": worker, "kill": kill}
    if unknown := set(chosen.questions) - questions.keys():
        parser.error(f"no such question: {', '.join(sorted(unknown))}. There are {', '.join(questions)}.")
    with tempfile.TemporaryDirectory() as folder:
        subject = prepare(Path(folder), None, "target", (20, 15, 3, 2))
        stay_on(chosen.load_cpu)
        for name in chosen.questions or questions:
            print(f"\n### {name}", flush=True)
            with tempfile.TemporaryDirectory() as own:
                store = Store.open(subject.store(Path(own), capture=True))
                questions[name](subject, store, chosen)
                store.close()


def swaps(subject: Subject, store: Store, chosen: argparse.Namespace) -> None:
    """Requests while nothing changes, while versions do, and while weights do."""
    two = _second_version(store)
    seconds = chosen.changes * _CHANGE_S + 2
    changes = {
        "nothing": lambda at: None,
        "versions": lambda at: store.endpoints.deploy(ENDPOINT, store.models.get(f"bench:{1 + at % 2}"), _now()),
        "weights": lambda at: _weigh(store, two, at),
    }
    rows: list[list[str]] = []
    port = free_port()
    with started(serving_command(store.root, port), port, chosen.server_cpu) as server:
        for name, change in changes.items():
            seen = _under_load(
                server, subject, seconds, chosen.rate, lambda change=change: _repeat(change, chosen.changes)
            )
            rows.append(_row(name, 0 if name == "nothing" else chosen.changes, seen))
    print_table("Changes under load", _HEAD, rows)


def worker(subject: Subject, store: Store, chosen: argparse.Namespace) -> None:
    """Requests while one worker of two is killed: its connections break, and clients connect again.

    What it was working on is lost; clients such as boto3 ask that once more.
    """
    rows: list[list[str]] = []
    for asks_again in (False, True):
        port = free_port()
        with started(serving_command(store.root, port, "--workers", "2"), port, chosen.server_cpu) as server:
            seen = _under_load(server, subject, 10.0, chosen.rate, server.kill_worker, asks_again=asks_again)
        rows.append([*_row("kill -9, asked again" if asks_again else "kill -9", 1, seen), str(seen.again)])
    print_table("One of two workers killed", [*_HEAD, "asked again"], rows)


def kill(subject: Subject, store: Store, chosen: argparse.Namespace) -> None:
    """Answers that clients had when the server was killed, and how many of them the store does not have."""
    rows: list[list[str]] = []
    for mode in ("sync", "async"):
        for repeat in range(chosen.repeats):
            policy = CapturePolicy(mode=cast('Literal["sync", "async"]', mode))
            store.endpoints.deploy(ENDPOINT, store.models.get("bench"), _now(), capture=policy)
            answered = _answered_until_killed(subject, store, chosen.server_cpu, f"{mode}-{repeat}")
            captured = _captured(store)
            lost = [when for name, when in answered.items() if name not in captured]
            window_ms = 1000 * (max(answered.values()) - min(lost)) if lost else 0.0
            rows.append([mode, f"{len(answered):,}", f"{len(lost):,}", f"{window_ms:.0f}"])
    print_table(
        "kill -9 of the server", ["capture", "answered", "of them lost", "oldest lost, ms before the end"], rows
    )


_HEAD = ["what changes", "changes", "requests", "failed", "client lag ms", "p50 ms", "p99 ms", "p99.9 ms"]


def _row(name: str, changes: int, seen: Seen) -> list[str]:
    failed = seen.due - seen.good
    latencies = (told(ms, ".2f") for ms in (seen.p50_ms, seen.p99_ms, seen.p999_ms))
    return [name, str(changes), f"{seen.due:,}", str(failed), told(seen.lag_p99_ms, ".2f"), *latencies]


def _under_load(
    server: Server,
    subject: Subject,
    seconds: float,
    rate: float,
    do: Callable[[], None],
    *,
    asks_again: bool = False,
) -> Seen:
    load = Load(server.port, PATH, str(subject.bodies), seconds, 64, rate=rate, asks_again=asks_again)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, load)
        time.sleep(1.0)
        do()
        return asked.result()


def _repeat(change: Callable[[int], object], times: int) -> None:
    for at in range(times):
        change(at)
        time.sleep(_CHANGE_S)


def _second_version(store: Store) -> tuple[Variant, Variant]:
    """The same file as another version, so that answers stay comparable; gives both as variants."""
    first = store.models.get("bench:1")
    store.models.publish(replace(first, version=2, created_at=_now()))
    return Variant("main", "bench", 1), Variant("new", "bench", 2)


def _weigh(store: Store, two: tuple[Variant, Variant], at: int) -> None:
    endpoint = store.endpoints.get(ENDPOINT)
    weighed = (two[0], replace(two[1], weight=float(at % 10)))
    store.endpoints.put(replace(endpoint, variants=weighed), _now())


def _answered_until_killed(subject: Subject, store: Store, cpu: str, prefix: str) -> dict[str, float]:
    """When each id was answered, of several clients that ask one after another until the server is gone."""
    bodies = subject.bodies.read_bytes().splitlines()
    answered: dict[str, float] = {}
    port = free_port()
    with started(serving_command(store.root, port), port, cpu) as server:
        clients = [
            threading.Thread(target=_ask_on, args=(port, bodies, f"{prefix}-{number}", answered))
            for number in range(_CLIENTS)
        ]
        for client in clients:
            client.start()
        time.sleep(_KILL_AFTER_S)
        server.kill()
        for client in clients:
            client.join()
    return answered


def _ask_on(port: int, bodies: list[bytes], prefix: str, answered: dict[str, float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    for number in count():
        name = f"{prefix}-{number}"
        headers = {"content-type": "application/json", "x-amzn-sagemaker-inference-id": name}
        try:
            connection.request("POST", PATH, bodies[number % len(bodies)], headers)
            reply = connection.getresponse()
            reply.read()
        except (OSError, http.client.HTTPException):
            return
        if reply.status == HTTPStatus.OK:
            answered[name] = time.perf_counter()


def _captured(store: Store) -> set[str]:
    """Ids of everything that the store has of the endpoint."""
    store.traffic.compact()
    frame = store.traffic.read(ENDPOINT, _now() - timedelta(days=1), _now() + timedelta(days=1))
    return set(frame["autopilot.inference_id"])


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()

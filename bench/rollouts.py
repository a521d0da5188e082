"""Roll-outs: how often one without harm is taken back, and how soon one with a fault is.

`python -m bench.rollouts null` plays roll-outs without harm on the statistics of the controller (`Evidence`), without
HTTP: 600 looks each, five minutes at two looks a second. The share that is taken back must not exceed alpha. Traffic is
made as unkind as it may be: outages that hit both sides, servers that differ, steps, drift, differences at the floor.

`python -m bench.rollouts faults` runs a real server, asks it some hundred times a second, and rolls out versions of
which 5 % of answers fail, or take 10 ms more, or whose scores are shifted; and the same version again, which should go
through.

Without a word it does both, and measures what counting costs an answer.
"""

import argparse
import http.client
import json
import math
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace
from scipy.stats import beta

from serving.endpoints import Answered, LiveEndpoints
from serving.rollouts.counts import Counted, Counts, Sides
from serving.rollouts.evidence import Evidence
from serving.rollouts.watching import Watching
from storage import Store
from storage.boundary import blocks_of_rows
from storage.records import Guard, Measured, Rollout, Variant
from storage.rollouts import Plan
from tests import planted, portable

_ALPHAS = (0.01, 0.05)
_LOOKS = 600
_CUTS = tuple(number / 8 for number in range(1, 8))
_NOW = datetime(2024, 5, 1, tzinfo=UTC)
_FAULTY = 0.05


class Second(NamedTuple):
    """What one server sees in a look: shares of faults, of slow answers, and of each bin of scores, old and new."""

    requests: int
    share: float
    faults: tuple[float, float] = (0.0, 0.0)
    slow: tuple[float, float] = (0.0, 0.0)
    scores: tuple[tuple[float, ...], tuple[float, ...]] = ((1 / 8,) * 8, (1 / 8,) * 8)


#: Makes the traffic of one roll-out: for each look what each server sees.
Traffic = Callable[[np.random.Generator], Iterator[list[Second]]]


def _steady(rate: float, share: float, faults: float, worse: float = 0.0) -> Traffic:
    def traffic(draw: np.random.Generator) -> Iterator[list[Second]]:
        for _ in range(_LOOKS):
            p = (faults, faults + worse)
            yield [Second(int(draw.poisson(rate)), share, p, p)]

    return traffic


def _outages(draw: np.random.Generator) -> Iterator[list[Second]]:
    """One look in fifty begins an outage of some looks, in which 40 % of all requests fail or are slow."""
    left = 0
    for _ in range(_LOOKS):
        left = int(draw.integers(1, 12)) if draw.random() < 0.02 else max(0, left - 1)
        p = 0.4 if left else 0.002
        yield [Second(int(draw.poisson(60)), 0.1, (p, p), (p, p))]


def _servers(draw: np.random.Generator) -> Iterator[list[Second]]:
    """Three servers that fail differently and follow each step at another time, as the new get more and more."""
    for at in range(_LOOKS):
        steps = [min(9, (at + lag) // 60) for lag in (0, 3, 7)]
        yield [
            Second(int(draw.poisson(20)), 0.1 + 0.1 * step, (p, p), (p, p))
            for step, p in zip(steps, (0.0, 0.02, 0.25), strict=True)
        ]


def _drift(draw: np.random.Generator) -> Iterator[list[Second]]:
    """Faults between none and 20 %, and scores that wander, with the time of day."""
    for at in range(_LOOKS):
        p = 0.1 - 0.1 * math.cos(at / 40)
        bins = np.exp(1.5 * np.cos(at / 70) * np.linspace(-1, 1, 8))
        scores = tuple((bins / bins.sum()).tolist())
        yield [Second(int(draw.poisson(60)), 0.1, (p, p), (p, p), (scores, scores))]


def _shifted(by: float, rate: float = 60, share: float = 0.1) -> Traffic:
    """Scores of which a share moves from the lower half to the upper half."""
    new = tuple(1 / 8 + (by / 4 if at >= 4 else -by / 4) for at in range(8))

    def traffic(draw: np.random.Generator) -> Iterator[list[Second]]:
        for _ in range(_LOOKS):
            yield [Second(int(draw.poisson(rate)), share, scores=((1 / 8,) * 8, new))]

    return traffic


_NULLS: dict[tuple[str, str], Traffic] = {
    ("errors", "1 %, steady"): _steady(60, 0.1, 0.01),
    ("errors", "0.05 %, busy"): _steady(1000, 0.05, 0.0005),
    ("errors", "outages"): _outages,
    ("errors", "three servers, steps"): _servers,
    ("errors", "drift"): _drift,
    ("errors", "the new better"): _steady(60, 0.5, 0.05, -0.01),
    ("errors", "at a floor of 2 %"): _steady(60, 0.3, 0.01, 0.02),
    ("latency", "5 %, steady"): _steady(60, 0.1, 0.05),
    ("latency", "outages"): _outages,
    ("latency", "at a floor of 2 %"): _steady(60, 0.3, 0.03, 0.02),
    ("scores", "steady"): _shifted(0.0),
    ("scores", "no floor"): _shifted(0.0),
    ("scores", "drift"): _drift,
    ("scores", "at a floor of 5 %"): _shifted(0.05, share=0.3),
    ("blue/green errors", "1 %, steady"): _steady(60, 1.0, 0.01),
    ("blue/green scores", "steady"): _shifted(0.0, share=1.0),
}
_FLOORS = {"at a floor of 2 %": 0.02, "at a floor of 5 %": 0.05, "no floor": 0.0}


def play(kind: str, traffic: Traffic, floor: float, seed: int) -> float:
    """The greatest logarithm of evidence over needed evidence, for alpha = 1, in one roll-out."""
    draw = np.random.default_rng(seed)
    is_blue_green, guard = kind.startswith("blue/green"), kind.split()[-1]
    rollout = _rollout(guard, floor, f"r{seed}", is_blue_green=is_blue_green)
    evidence = Evidence(rollout, Measured(100, 5.0, _CUTS))
    told: dict[str, Counted] = {}
    if is_blue_green:
        _count(told, [next(traffic(draw))[0]._replace(requests=500, share=0.0)], draw, revision=2)
    most = -math.inf
    for servers in traffic(draw):
        _count(told, servers, draw, revision=3)
        evidence.look(told)
        most = max(most, evidence.log_value - math.log(evidence.needed * rollout.alpha))
    return most


def _rollout(kind: str, floor: float, id: str, *, is_blue_green: bool) -> Rollout:
    return Rollout(
        id=id,
        endpoint="demo",
        status="running",
        strategy="blue_green" if is_blue_green else "canary",
        share=0.1,
        wait_s=300,
        alpha=_ALPHAS[0],
        guards=(Guard(kind, floor=floor),),  # type: ignore[arg-type] - one of the three
        before=(Variant("main", "demo", 1),),
        after=(Variant("v2", "demo", 2),),
        step=1,
        step_at=_NOW,
        created_at=_NOW,
        revision=3,
    )


def _count(told: dict[str, Counted], servers: list[Second], draw: np.random.Generator, *, revision: int) -> None:
    for number, second in enumerate(servers):
        new = int(draw.binomial(second.requests, second.share))
        sides = Sides(*(_side(second, draw, at, n) for at, n in enumerate((second.requests - new, new))))
        revisions = told.setdefault(str(number), Counted()).revisions
        # a step of a server is a revision of its own
        at = revision + round(100 * second.share) if len(servers) > 1 else revision
        revisions[at] = revisions.get(at, Sides()) + sides


def _side(second: Second, draw: np.random.Generator, at: int, requests: int) -> Counts:
    slow = int(draw.binomial(requests, second.slow[at]))
    cells = [draw.multinomial(n, second.scores[at]).tolist() for n in (requests - slow, slow)]
    return Counts(requests, int(draw.binomial(requests, second.faults[at])), cells[0] + cells[1])


def nulls(games: int) -> bool:
    """Play roll-outs without harm, and print how many are taken back; whether all is as promised."""
    print(f"Roll-outs without harm: {games} of {_LOOKS} looks each; the share taken back, with its 95 % interval\n")
    heads = "".join(f"{f'alpha = {alpha:g}':>28}" for alpha in _ALPHAS)
    print(f"{'guard':<20}{'traffic':<24}{heads}")
    sums, kept = dict.fromkeys(_ALPHAS, 0), True
    for (kind, name), traffic in _NULLS.items():
        logs = [
            play(kind, traffic, _FLOORS.get(name, 0.05 if kind.endswith("scores") else 0.0), seed)
            for seed in range(games)
        ]
        cells = []
        for alpha in _ALPHAS:
            count = sum(log >= math.log(1 / alpha) for log in logs)
            sums[alpha] += count
            low, high = interval(count, games)
            kept = kept and low <= alpha
            cells.append(f"{f'{100 * count / games:.2f} % ({100 * low:.2f} to {100 * high:.2f})':>28}")
        print(f"{kind:<20}{name:<24}{''.join(cells)}", flush=True)
    total = games * len(_NULLS)
    print(f"{'all':<44}" + "".join(f"{f'{sums[a]} of {total}, {100 * sums[a] / total:.2f} %':>28}" for a in _ALPHAS))
    return kept


def interval(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of Clopper and Pearson for a share."""
    low = float(beta.ppf(0.025, count, of - count + 1)) if count else 0.0
    return low, float(beta.ppf(0.975, count + 1, of - count)) if count < of else 1.0


# --------------------------------------------------------------------------------------------------- a real server


class Clients:
    """Threads that ask a server, of whose rows 5 % bring out a planted fault."""

    def __init__(self, address: str, rate: float, count: int) -> None:
        self._host, self._port = address.removeprefix("http://").split(":")
        self._pause_s = count / rate
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.seen: dict[tuple[str, int], int] = {}
        self._threads = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(count)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, seed: int) -> None:
        draw = random.Random(seed)
        connection = http.client.HTTPConnection(self._host, int(self._port))
        while not self._stopping.wait(draw.expovariate(1 / self._pause_s)):
            amount = planted.AMOUNT if draw.random() < _FAULTY else draw.uniform(0, 10)
            row = {"amount": amount, "town": draw.choice(["Ulm", "Bonn"]), "visits": draw.randrange(5), "seen": None}
            body = json.dumps([row])
            connection.request("POST", "/endpoints/demo/invocations", body, {"content-type": "application/json"})
            reply = connection.getresponse()
            reply.read()
            key = (reply.headers.get("x-amzn-invoked-production-variant") or "refused", reply.status)
            with self._lock:
                self.seen[key] = self.seen.get(key, 0) + 1


class Run(NamedTuple):
    """One roll-out of a real server. seconds: since the new version got its first requests; new: that it answered;
    failed: requests that got a status of 500 and above, of all."""

    status: str
    seconds: float
    requests: int
    new: int
    failed: int
    reason: str


def roll_out(store: Store, clients: Clients, model: str, plan: Plan) -> Run:
    """Roll a version out, and see what becomes of it."""
    clients.seen.clear()
    rollout = store.rollouts.start("demo", plan, datetime.now(UTC))
    began: datetime | None = None
    while rollout.status == "running":
        time.sleep(0.05)
        rollout = store.rollouts.get(rollout.id)
        if began is None and rollout.step == 1:
            began = rollout.step_at
    seconds = ((rollout.ended_at or _NOW) - (began or rollout.created_at)).total_seconds()
    seen = dict(clients.seen)
    failed = sum(count for (_, status), count in seen.items() if status >= 500)
    progress = rollout.progress
    new = max((guard.new_requests for guard in progress.guards), default=0) if progress else 0
    return Run(rollout.status, seconds, sum(seen.values()), new, failed, rollout.reason or "")


def faults(times: int, rate: float, count: int) -> None:
    """Roll out faulty versions on a real server, and sound ones."""
    versions = {"errors": planted.failing(), "latency": planted.slow(), "scores": portable.classifier(1.0)}
    versions["none"] = portable.classifier()
    all_guards = (Guard("errors"), Guard("latency", floor=0.005), Guard("scores", floor=0.05))
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "store")
        portable.publish(store, portable.classifier(), endpoint="demo")
        numbers = {kind: portable.publish(store, file).version for kind, file in versions.items()}
        command = [sys.executable, "-m", "serving", "--store", str(store.root), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().split()[1]
            with Clients(address, rate, count) as clients:
                print(f"\nA real server, {rate:g} requests a second by {count} clients, canaries of 10 %, alpha 0.01,")
                print("all three guards\n")
                print(f"{'planted':<10}{'ended':<13}{'after s':>9}{'requests':>10}{'of the new':>12}{'failed':>8}")
                for kind, number in numbers.items():
                    plan = Plan(f"demo:{number}", wait_s=20 if kind == "none" else 120, guards=all_guards)
                    for _ in range(times):
                        run = roll_out(store, clients, kind, plan)
                        print(
                            f"{kind:<10}{run.status:<13}{run.seconds:>9.1f}{run.requests:>10}{run.new:>12}{run.failed:>8}",
                            flush=True,
                        )
                        if run.status == "completed":
                            store.rollouts.rollback("demo", datetime.now(UTC))
                            time.sleep(1)
                    print(f"  {run.reason}")
            server.terminate()
        store.close()


def cost() -> None:
    """What counting costs an answer."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "store")
        portable.publish(store, portable.classifier(), endpoint="demo")
        portable.publish(store, portable.classifier())
        with LiveEndpoints(store) as live:
            watching = Watching(store, live, "one")
            live.watch(watching.watchers)
            print(f"\nAn answer costs, without a roll-out: {_watch_us(live):.2f} us")
            store.rollouts.start("demo", Plan("demo"), _NOW)
            live.refresh()
            running = store.rollouts.list()
            print(f"while the old are measured: {_watch_us(live):.2f} us")
            measured = [replace(rollout, measured=Measured(100, 5.0, _CUTS)) for rollout in running]
            watching.look(measured, _NOW)
            print(f"while it runs: {_watch_us(live):.2f} us")
        store.close()


def _watch_us(live: LiveEndpoints, times: int = 100_000) -> float:
    """Microseconds of the engine's loop over watchers."""
    endpoint = live.find("demo", variant="main")
    blocks = blocks_of_rows(endpoint.signature, [portable.ROWS[0]])
    outputs = endpoint.predictor.run(blocks)
    spent = (0.0, 0.0, 0.0, 0.004, 0.004)
    began = time.perf_counter()
    for _ in range(times):
        for watch in endpoint.watchers:
            watch(Answered("id", blocks, outputs, spent))  # as the engine does
    return 1e6 * (time.perf_counter() - began) / times


def main() -> None:
    """Measure, print, and fail if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["all", "null", "faults", "cost"], default="all")
    parser.add_argument("--games", type=int, default=200, help="roll-outs without harm of each kind (%(default)s)")
    parser.add_argument("--times", type=int, default=3, help="roll-outs of each fault (%(default)s)")
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second (%(default)s)")
    parser.add_argument("--clients", type=int, default=8, help="connections (%(default)s)")
    options = parser.parse_args()
    kept = nulls(options.games) if options.what in ("all", "null") else True
    if options.what in ("all", "cost"):
        cost()
    if options.what in ("all", "faults"):
        faults(options.times, options.rate, options.clients)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

"""Servers without sockets: live endpoints, controllers that look when they are told to, and a clock of one's own."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest

from serving.endpoints import Answered, LiveEndpoints
from serving.rollouts.controller import Controller
from storage import Store
from storage.boundary import blocks_of_rows
from storage.records import Endpoint, Rollout, Server
from storage.rollouts import Plan
from tests import portable

START = datetime(2024, 5, 1, tzinfo=UTC)


class Process:
    """One server process."""

    def __init__(self, name: str, store: Store, live: LiveEndpoints) -> None:
        self.name = name
        self.store = store
        self.live = live
        self.controller = Controller(store, live, name)
        live.watch(self.controller.watching.watchers)
        self.answers = {}

    def look(self, now: datetime) -> None:
        """Follow the store, say so, and look after roll-outs."""
        self.live.refresh()
        self.store.servers.beat(Server(self.name, "here", 1, START, now, self.live.serving))
        self.controller.look(now)

    def answer(
        self, inference_id: str, random: np.random.Generator, faults: dict[str, float], slow: dict[str, float]
    ) -> str:
        """Answer a request as the engine does, with a chance of a fault, or of a second; the variant that answered."""
        variant = self.live.find("demo", inference_id)
        name, key = (
            variant.variant.name,
            ("invocations", 500 if random.random() < faults.get(variant.variant.name, 0) else 200),
        )
        variant.metrics.replies.by_status[key] += 1
        if key[1] == 200:
            blocks, outputs = self._outputs(variant, int(random.integers(0, 40)))
            seconds = 1.0 if random.random() < slow.get(name, 0) else random.exponential(0.002)
            for watch in variant.watchers:
                watch(Answered(inference_id, blocks, outputs, (0.0, 0.0, 0.0, seconds, seconds)))
        return name

    def _outputs(self, variant, at):
        key = (variant.variant.spec, at)
        if key not in self.answers:
            row = {"amount": at / 4, "town": "Ulm", "visits": at % 3, "seen": None}
            blocks = blocks_of_rows(variant.signature, [row])
            self.answers[key] = blocks, variant.predictor.run(blocks)
        return self.answers[key]


class World:
    """A store with an endpoint `demo`, traffic for it, and processes that serve it."""

    def __init__(self, store: Store, processes: list[Process]) -> None:
        self.store = store
        self.processes = processes
        self.now = START
        self.random = np.random.default_rng(3)
        self.faults: dict[str, float] = {}
        self.slow: dict[str, float] = {}
        self.seen: dict[str, int] = {}
        self._ids = count()

    def start(self, **plan) -> Rollout:
        """Begin a roll-out of the newest version."""
        return self.store.rollouts.start("demo", Plan(**{"model": "demo", **plan}), self.now)

    def pass_time(self, seconds: float, *, rate: int = 100) -> Rollout:
        """Let time pass, half a second at a time, with so many requests each time, until the roll-out ends."""
        for _ in range(round(seconds * 2)):
            self.now += timedelta(seconds=0.5)
            for process in self.processes:
                for _ in range(rate // len(self.processes)):
                    name = process.answer(str(next(self._ids)), self.random, self.faults, self.slow)
                    self.seen[name] = self.seen.get(name, 0) + 1
                process.look(self.now)
            if self.rollout.status != "running":
                break
        return self.rollout

    @property
    def rollout(self) -> Rollout:
        """The newest."""
        return self.store.rollouts.list(limit=1)[0]

    @property
    def endpoint(self) -> Endpoint:
        """As the store has it."""
        return self.store.endpoints.get("demo")

    @property
    def weights(self) -> dict[str, float]:
        """Of the endpoint's variants."""
        return {variant.name: variant.weight for variant in self.endpoint.variants}


@contextmanager
def world(store: Store, *processes: str) -> Generator[World]:
    """A world of so many processes, not a thread of which acts by itself."""
    with ExitStack() as stack:
        made = [Process(name, store, stack.enter_context(LiveEndpoints(store))) for name in processes]
        yield World(store, made)


@pytest.fixture
def demo(store: Store) -> Iterator[World]:
    """One process; `demo:1` is served, `demo:2` is the same model again."""
    portable.publish(store, portable.classifier(), endpoint="demo")
    portable.publish(store, portable.classifier())
    with world(store, "one") as made:
        yield made

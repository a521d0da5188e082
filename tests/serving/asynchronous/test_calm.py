"""What nobody waits for is begun when nobody else is served, or after a while."""

import asyncio
from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from serving.asynchronous import calm as calm_module
from serving.asynchronous.calm import Calm
from serving.capture import Capture
from serving.engine import Engine
from storage import Store


@pytest.fixture
def engine(store: Store) -> Iterator[Engine]:
    with Engine(Capture(store.traffic), threads=1, max_body_bytes=1000, max_rows=10) as engine:
        yield engine


def test_it_waits_while_requests_are_under_way(engine: Engine) -> None:
    """Those that ask for an answer later are not counted."""
    left = chain([3, 2, 2], repeat(1))
    asked: list[int] = []

    def company() -> int:
        asked.append(next(left))
        return asked[-1]

    engine.company = company
    asyncio.run(Calm(engine, lambda: 1).wait())
    assert asked[:4] == [3, 2, 2, 1]


def test_it_waits_for_work_that_is_queued_but_not_for_ever(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits here goes on under a load that never ends."""
    monkeypatch.setattr(calm_module, "_PATIENCE_S", 0.1)
    engine.company = lambda: 0
    engine.admission.queued_s = 5.0
    asyncio.run(Calm(engine).wait())
    assert engine.admission.queued_s == 5.0

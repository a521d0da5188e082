"""Answers in pieces: the same rows, counted and captured once, and no longer than somebody waits."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from serving.capture import Capture
from serving.endpoints import LiveVariant
from serving.engine import Asked, Call, Engine, Written
from serving.errors import AbandonedError, BodyError, DeadlineError, OverloadedError, TooManyRowsError
from serving.formats import Answer
from serving.options import DEFAULT
from serving.requests import Request
from storage import Predictor, Store
from tests.portable import regressor
from tests.records import endpoint_record

NOW = datetime(2024, 5, 1, tzinfo=UTC)
ROW = b"4,Ulm,2,2023-05-01\n"


@pytest.fixture
def capture(store: Store) -> Capture:
    return Capture(store.traffic)


@pytest.fixture
def engine(capture: Capture) -> Iterator[Engine]:
    with Engine(capture, threads=1, max_body_bytes=10_000_000, max_rows=10_000) as engine:
        yield engine


@pytest.fixture
def endpoint() -> LiveVariant:
    return LiveVariant(endpoint_record("demo", capture=True), Predictor(regressor()))


async def stays() -> None:
    await asyncio.Event().wait()


def call(endpoint: LiveVariant, body: bytes, *, gone: object = stays, deadline: float | None = None) -> Call:
    def write(answer: Answer) -> Written:
        return Written([], endpoint.formats.answers["csv"].write(answer))

    def read(body: bytes) -> Asked:
        return Asked(endpoint.formats.rows["csv"].decode(body), DEFAULT, write)

    request = Request("POST", "/", b"", {}, body, gone)  # type: ignore[arg-type]
    return Call(endpoint, request, read, False, "id", deadline)


async def pieces(engine: Engine, asked: Call) -> list[bytes]:
    return [piece.body async for piece in engine.pieces(asked)]


def test_pieces_are_counted_and_captured_as_one_answer(
    engine: Engine, capture: Capture, endpoint: LiveVariant, store: Store
) -> None:
    """Rows are numbered through."""
    found = asyncio.run(pieces(engine, call(endpoint, ROW * 2_500)))
    assert found == [b"1.0\n" * 1000, b"1.0\n" * 1000, b"1.0\n" * 500]
    metrics = endpoint.metrics
    assert (metrics.answered, metrics.rows, metrics.runs, metrics.waiting) == (1, 2_500, 3, 0)
    assert engine.admission.queued_s == 0
    capture.flush()
    capture.rotate()
    now = datetime.now(UTC)
    frame = store.traffic.read("demo", now - timedelta(hours=1), now + timedelta(hours=1))
    assert frame["autopilot.row"].to_list() == list(range(2_500))


def test_what_is_wrong_with_a_request_is_raised_before_the_first_piece(engine: Engine, endpoint: LiveVariant) -> None:
    """Whatever row it is in."""
    with pytest.raises(BodyError):
        asyncio.run(pieces(engine, call(endpoint, b"")))
    with pytest.raises(TooManyRowsError):
        asyncio.run(pieces(engine, call(endpoint, ROW * 10_001)))
    engine.admission.queued_s = 3600.0
    with pytest.raises(OverloadedError):
        asyncio.run(pieces(engine, call(endpoint, ROW)))
    assert endpoint.metrics.waiting == 0


def test_a_deadline_ends_it_between_pieces(engine: Engine, endpoint: LiveVariant) -> None:
    """What was sent before stays sent; it is no answer that counts."""

    async def ask() -> None:
        generator = engine.pieces(call(endpoint, ROW * 5_000, deadline=monotonic() + 0.5))
        for _ in range(2):
            assert (await anext(generator)).body == b"1.0\n" * 1000
        await asyncio.sleep(0.6)
        with pytest.raises(DeadlineError):
            await anext(generator)

    asyncio.run(ask())
    assert endpoint.metrics.answered == 0
    assert endpoint.metrics.waiting == 0


def test_a_client_that_leaves_ends_it(engine: Engine, endpoint: LiveVariant) -> None:
    """Nothing more is run."""
    left = asyncio.Event()

    async def ask() -> None:
        generator = engine.pieces(call(endpoint, ROW * 5_000, gone=left.wait))
        await anext(generator)
        left.set()
        await asyncio.sleep(0.01)
        with pytest.raises(AbandonedError):
            await anext(generator)

    asyncio.run(ask())
    assert endpoint.metrics.runs == 1


def test_who_stops_reading_leaves_nothing_behind(engine: Engine, endpoint: LiveVariant) -> None:
    """Closing the generator is enough."""

    async def ask() -> None:
        generator = engine.pieces(call(endpoint, ROW * 5_000))
        await anext(generator)
        await generator.aclose()

    asyncio.run(ask())
    assert endpoint.metrics.waiting == 0
    assert engine.admission.queued_s == 0

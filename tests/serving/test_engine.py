"""Nobody's answer is computed if nobody waits for it, and no request is too large or too many rows for the server."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic, sleep
from typing import Literal

import polars as pl
import pytest
from msgspec.structs import replace

from serving.capture import Capture
from serving.drain import Ran
from serving.endpoints import LiveVariant
from serving.engine import Asked, Call, Engine, Written
from serving.errors import AbandonedError, BodyTooLargeError, DeadlineError, OptionError, TooManyRowsError
from serving.formats import Answer
from serving.options import DEFAULT, Options
from serving.requests import Request
from storage import InputError, Predictor, Store
from storage.records import CapturePolicy, EndpointLimits
from tests.portable import ROWS, SCORES, regressor
from tests.records import endpoint_record

NOW = datetime(2024, 5, 1, tzinfo=UTC)
BODY = json.dumps(list(ROWS)).encode()


@pytest.fixture
def engine(store: Store) -> Iterator[Engine]:
    with Engine(Capture(store.traffic), threads=1, max_body_bytes=10_000, max_rows=60) as engine:
        yield engine


@pytest.fixture
def endpoint() -> LiveVariant:
    return LiveVariant(endpoint_record("demo"), Predictor(regressor()))


async def waits() -> None:
    await asyncio.Event().wait()


async def leaves() -> None:
    await asyncio.sleep(0.02)


def call(
    endpoint: LiveVariant,
    body: bytes = BODY,
    *,
    few: bool = True,
    encoding: bytes | None = None,
    options: Options = DEFAULT,
    deadline: float | None = None,
    gone: object = waits,
    read_s: float = 0.0,
) -> Call:
    """A call as the invocations protocol makes it; `read_s` is how long it takes to read."""

    def write(answer: Answer) -> Written:
        return Written([], endpoint.formats.answers["json"].write(answer))

    def read(body: bytes) -> Asked:
        sleep(read_s)
        return Asked(endpoint.formats.rows["json"].decode(body), options, write)

    headers = {} if encoding is None else {b"content-encoding": encoding}
    request = Request("POST", "/invocations", b"", headers, body, gone)  # type: ignore[arg-type]
    return Call(endpoint, request, read, few, "id", deadline)


def values(written: Written) -> list[float]:
    return [row["value"] for row in json.loads(written.body)["predictions"]]


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("company", [0, 5])
def test_the_answer_is_the_same_in_the_event_loop_and_in_a_thread(
    engine: Engine, endpoint: LiveVariant, few: bool, company: int
) -> None:
    """Alone, together with others, and packed."""
    engine.company = lambda: company
    assert values(asyncio.run(engine.answer(call(endpoint, few=few)))) == list(SCORES)
    packed = call(endpoint, gzip.compress(BODY), few=few, encoding=b"gzip")
    assert values(asyncio.run(engine.answer(packed))) == list(SCORES)
    assert endpoint.metrics.answered == 2
    assert endpoint.metrics.rows == 8
    assert endpoint.metrics.waiting == 0


@pytest.mark.parametrize("answered", [[True] * 3, [True, False, True], [False] * 3])
@pytest.mark.parametrize("redact", [{}, {"seen": "drop"}])
def test_of_what_ran_together_all_is_captured_that_was_answered(
    store: Store, answered: list[bool], redact: dict[str, Literal["drop"]]
) -> None:
    """Once. An answer may be refused after the run: what was asked cannot be written as the client wants it."""
    policy = CapturePolicy(redact=redact)  # type: ignore[arg-type]
    endpoint = LiveVariant(replace(endpoint_record("demo"), capture=policy), Predictor(regressor()))
    plan = endpoint.capture
    assert plan is not None
    with Capture(store.traffic) as capture, Engine(capture, threads=1, max_body_bytes=10**6, max_rows=60) as engine:
        begun = [engine.begin(call(endpoint)._replace(inference_id=f"{at}")) for at in range(3)]
        (rans,) = endpoint.drain.runs([one.asked.blocks for one in begun], packs=plan.takes_runs)
        for one, ran, was_answered in zip(begun, rans, answered, strict=True):
            assert isinstance(ran, Ran)
            if was_answered:
                engine.finish(one, ran)
        engine.capture_run(plan, begun, rans, answered)
    found = store.traffic.read("demo", datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC))
    captured = Counter(found.get_column("autopilot.inference_id").to_list() if found.width else [])
    assert captured == {f"{at}": len(ROWS) for at in range(3) if answered[at]}
    if captured:
        scores = found.filter(pl.col("autopilot.inference_id") == "0").get_column("autopilot.prediction")
        assert scores.to_list() == list(SCORES)
        assert ("seen" in found.columns) == (not redact)


def test_an_endpoints_own_limits_hold_where_they_are_tighter(engine: Engine) -> None:
    """Of bytes and of rows, whoever reads the body; the server's stay for the others."""
    limited = replace(endpoint_record("demo"), limits=EndpointLimits(max_body_bytes=1_000, max_rows=len(ROWS)))
    endpoint = LiveVariant(limited, Predictor(regressor()))
    assert values(asyncio.run(engine.answer(call(endpoint)))) == list(SCORES)
    five = json.dumps([dict.fromkeys(ROWS[0])] * 5).encode()
    for few in (False, True):
        with pytest.raises(TooManyRowsError, match="5 rows; 4 are answered at once"):
            asyncio.run(engine.answer(call(endpoint, five, few=few)))
        with pytest.raises(BodyTooLargeError, match="longer than 1000 bytes"):
            asyncio.run(engine.answer(call(endpoint, BODY.ljust(1_001), few=few)))


def test_limits_hold_after_unpacking(engine: Engine, endpoint: LiveVariant) -> None:
    """Of bytes, and of rows."""
    with pytest.raises(BodyTooLargeError):
        asyncio.run(engine.answer(call(endpoint, gzip.compress(bytes(20_000)), few=False, encoding=b"gzip")))
    many = json.dumps([ROWS[0]] * 61).encode()
    for few in (False, True):
        with pytest.raises(TooManyRowsError, match="61 rows; 60 are answered at once"):
            asyncio.run(engine.answer(call(endpoint, many, few=few)))


def test_options_that_the_model_cannot_follow_are_refused(engine: Engine, endpoint: LiveVariant) -> None:
    """With the reason."""
    with pytest.raises(InputError, match="gives no interval"):
        asyncio.run(engine.answer(call(endpoint, options=Options(interval=True))))
    with pytest.raises(OptionError, match="no rows of training"):
        asyncio.run(engine.answer(call(endpoint, options=Options(explain=True))))


def test_work_whose_deadline_passed_in_the_queue_is_not_done(engine: Engine, endpoint: LiveVariant) -> None:
    """The thread looks before it reads."""

    async def ask() -> None:
        slow = asyncio.ensure_future(engine.answer(call(endpoint, few=False, read_s=0.2)))
        await asyncio.sleep(0.05)
        engine.admission.queued_s = 0.0  # as if the slow one had been predicted to be quick
        late = call(endpoint, few=False, deadline=monotonic() + 0.05)
        with pytest.raises(DeadlineError):
            await engine.answer(late)
        await slow

    asyncio.run(ask())
    assert endpoint.metrics.answered == 1


def test_work_whose_client_left_is_not_done(engine: Engine, endpoint: LiveVariant) -> None:
    """Neither in the queue nor between its parts."""
    with pytest.raises(AbandonedError):
        asyncio.run(engine.answer(call(endpoint, few=False, read_s=0.1, gone=leaves)))
    assert endpoint.metrics.answered == 0


def test_a_defect_in_a_thread_leaves_the_engine_as_it_was(engine: Engine, endpoint: LiveVariant) -> None:
    """Nothing is counted as waiting, and the next is answered."""
    broken = call(endpoint, few=False)._replace(read=partial(int, "x"))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        asyncio.run(engine.answer(broken))
    assert engine.admission.queued_s == 0
    assert endpoint.metrics.waiting == 0
    assert values(asyncio.run(engine.answer(call(endpoint, few=False)))) == list(SCORES)

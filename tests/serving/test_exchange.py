"""What becomes of a request is noted by whoever learns it."""

import asyncio
import re
import timeit
from typing import Any

import pytest

from serving.exchange import CURRENT, Exchange, note_body, note_problem
from serving.metrics import EndpointMetrics, Metrics
from serving.observed import Observed
from serving.request_ids import RequestIds

SCOPE: Any = {"type": "http", "method": "POST", "path": "/x", "headers": [], "client": ("10.0.0.7", 1)}


async def answers(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers each request with three bytes."""
    note_body(7)
    await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": b"abc"})


async def leaves(scope: Any, receive: Any, send: Any) -> None:
    """One whose client has gone."""


async def breaks(scope: Any, receive: Any, send: Any) -> None:
    """One with a defect."""
    raise ValueError("broken")


def asked(app: Any, headers: list[tuple[bytes, bytes]]) -> tuple[Exchange, list[Any]]:
    """What is told of a request, and what was sent."""
    told: list[Exchange] = []
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Observed(app, told.append)({**SCOPE, "headers": headers}, None, send))  # type: ignore[arg-type]
    (exchange,) = told
    return exchange, sent


def test_each_reply_tells_its_requests_id_under_both_names() -> None:
    """The client's own if it can be kept, else one that is made up."""
    exchange, sent = asked(answers, [(b"x-request-id", b"trace-7")])
    assert exchange.request_id == b"trace-7"
    assert sent[0]["headers"] == [(b"a", b"b"), (b"x-request-id", b"trace-7"), (b"x-amzn-requestid", b"trace-7")]
    for header in (b"", b"two words", b"x" * 129, b"\xff"):
        exchange, _ = asked(answers, [(b"x-request-id", header)])
        assert re.fullmatch(rb"[0-9a-f-]{36}", exchange.request_id)


def test_status_and_lengths_are_noted() -> None:
    """Of what was sent and what was received."""
    exchange, _ = asked(answers, [])
    assert (exchange.status, exchange.bytes_in, exchange.bytes_out) == (201, 7, 3)
    assert 0 < exchange.ended - exchange.began < 1


def test_a_client_that_goes_away_has_a_status_of_its_own() -> None:
    """499, as nginx calls it."""
    exchange, sent = asked(leaves, [])
    assert (exchange.status, sent) == (499, [])


def test_a_defect_is_told_and_raised() -> None:
    """The server answers 500 then."""
    told: list[Exchange] = []
    with pytest.raises(ValueError, match="broken"):
        asyncio.run(Observed(breaks, told.append)(SCOPE, None, None))  # type: ignore[arg-type]
    assert told[0].status == 500


def test_outside_a_server_nothing_is_noted() -> None:
    """A command or a test works without."""
    assert CURRENT.get() is None
    assert note_problem("row") == b"-"


def test_a_request_is_observed_in_microseconds() -> None:
    """1 us where nobody else works; the bound is loose, since neighbours take the time of a test."""
    metrics = Metrics()
    counts = metrics.of("demo", "m", 1)
    ids = RequestIds()
    headers = [(b"host", b"x"), (b"content-type", b"application/json"), (b"content-length", b"61"), (b"accept", b"*/*")]

    def observe() -> None:
        headers_by_name = dict(headers)
        exchange = Exchange(SCOPE, headers_by_name, ids.of(headers_by_name))
        exchange.metrics = counts
        exchange.protocol = "invocations"
        metrics.observe(exchange)
        counts.answer(1, (0.0, 0.001, 0.002, 0.003, 0.004), 0.0)

    assert min(timeit.repeat(observe, number=1000, repeat=20)) / 1000 < 20e-6
    assert counts.replies.by_status == {("invocations", 499): 20_000}


def test_counts_are_by_protocol_and_status_and_refusals_by_reason() -> None:
    """Of an endpoint, and of what no endpoint answered."""
    metrics = Metrics()
    counts: EndpointMetrics = metrics.of("demo", "m", 1)
    for asked_of, status, problem in ((counts, 200, ""), (counts, 400, "row"), (None, 404, "unknown-endpoint")):
        exchange = Exchange(SCOPE, {}, b"id")
        exchange.metrics, exchange.status, exchange.problem = asked_of, status, problem
        metrics.observe(exchange)
    assert counts.replies.by_status == {("http", 200): 1, ("http", 400): 1}
    assert counts.replies.refused == {("http", "row"): 1}
    assert metrics.unserved.refused == {("http", "unknown-endpoint"): 1}

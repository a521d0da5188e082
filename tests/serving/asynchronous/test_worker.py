"""A worker answers what waits as InvokeEndpoint answers it, tries again what may pass, and gives up what may not."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from serving.asynchronous import worker as worker_module
from serving.asynchronous.acceptance import Acceptance
from serving.asynchronous.policy import Policy
from serving.asynchronous.views import AsyncReply
from serving.errors import QueueFullError
from storage import Settings
from storage.objects import Prefixes
from storage.records import AsyncInvocation, CapturePolicy
from tests.buckets import Buckets
from tests.refusals import raises
from tests.serving.asynchronous.conftest import LINES, LONG, Bench

S3 = Prefixes(["s3://in/"])
#: More than 100, for which the fragile model fails.
FAILS = b"400,Ulm,2,\n"


def test_an_answer_is_that_of_an_invocation(bench: Bench) -> None:
    """With its headers; what was asked for first is answered first."""
    worker = bench.worker()
    first, second = bench.add(), bench.add(body=b"4,Ulm,2,\n")
    ended = [bench.ended(worker, one) for one in (second, first)]
    assert [one.status for one in ended] == ["completed", "completed"]
    assert bench.blob(ended[1].output_digest) == bench.sync() == b"1.0\n0.5\n"
    assert dict(AsyncReply.of(ended[1]).headers) == {
        "content-type": "text/csv",
        "x-inference-id": "mine",
        "x-amzn-invoked-production-variant": "main",
        "x-autopilot-model": "regressor:1",
    }
    assert ended[0].ended_at > ended[1].ended_at  # type: ignore[operator]
    assert worker.counts == {("price", "completed"): 2}


def test_what_the_client_has_to_mend_fails_at_once(bench: Bench) -> None:
    """With the problem that an invocation would have been answered with."""
    worker = bench.worker()
    body = b"much,Ulm,2,\n"
    ended = bench.ended(worker, bench.add(body=body))
    assert (ended.status, ended.attempts) == ("failed", 1)
    assert (
        ended.reason
        == "Column 'amount' was number in training; row 0 holds 'much'. Send a number, or leave the cell empty."
    )
    assert bench.failure(ended) == msgspec.json.decode(bench.sync(body=body))
    assert ("content-type", "application/problem+json") in AsyncReply.of(ended).headers
    assert worker.counts == {("price", "failed"): 1}


def test_a_redacted_value_is_not_in_what_is_kept(bench: Bench) -> None:
    """Neither in the reason nor in the failure."""
    record = bench.store.endpoints.get("price")
    version = bench.store.models.get("regressor:1")
    capture = CapturePolicy(redact={"amount": "drop"})
    bench.store.endpoints.deploy("price", version, record.created_at, capture=capture)
    bench.live.refresh()
    ended = bench.ended(bench.worker(), bench.add(body=b"SECRET,Ulm,2,\n"))
    assert ended.status == "failed"
    assert ended.reason == (
        "Column 'amount' holds a value in row 0 that cannot be used, and that is not told here: the endpoint redacts "
        "the column. /invocations tells it."
    )
    failure = bench.failure(ended)
    assert (failure["detail"], failure["column"], failure["row"]) == (ended.reason, "amount", 0)
    told = bench.ended(bench.worker(), bench.add(body=b"4,Ulm,much,\n"))
    assert "row 0 holds 'much'" in str(told.reason)


def test_an_endpoint_that_is_gone_is_told(bench: Bench) -> None:
    """By whoever is asked next; one that another server may have waits until it is too late."""
    worker = bench.worker()
    gone = bench.add("nobody", ttl_s=60)
    bench.ended(worker, bench.add())
    assert bench.store.async_invocations.get(gone.id).status == "queued"
    bench.later += timedelta(seconds=61)
    ended = bench.ended(worker := bench.worker(), gone)
    assert ended.status == "expired"
    assert ended.reason == (
        "It was not begun within RequestTTLSeconds, 60. This server serves no endpoint 'nobody'. "
        "Ask again, or allow more."
    )
    assert bench.failure(ended)["type"] == "urn:autopilot:deadline"
    assert worker.counts == {("nobody", "expired"): 1}


def test_what_may_pass_is_tried_again_some_times_and_later_each_time(bench: Bench) -> None:
    """Up to three times here: after 1 to 2 s, and after 4 to 8 s."""
    worker = bench.worker()
    pauses: list[float] = []
    invocation = bench.add("fragile", FAILS)
    queue = bench.store.async_invocations

    async def hurry() -> None:
        found = queue.get(invocation.id)
        if found.status == "queued" and found.attempts > len(pauses):
            pauses.append((found.due_at - bench.now()).total_seconds())
            bench.later += found.due_at - bench.now()
            worker.wake()

    bench.run(worker, lambda: queue.get(invocation.id).status == "failed", hurry)
    ended = queue.get(invocation.id)
    assert ended.attempts == 3
    assert bench.failure(ended)["type"] == "urn:autopilot:defect"
    assert len(pauses) == 2
    assert pauses[0] <= 2.0
    assert pauses[1] <= 8.0
    assert worker.counts == {("fragile", "retried"): 2, ("fragile", "failed"): 1}


def test_an_input_is_fetched_and_one_out_of_reach_is_tried_again(bench: Bench, bucket: Buckets) -> None:
    """One that is not there is not."""
    worker = bench.worker(inputs=S3)
    bucket.objects["/in/a.csv"] = LINES
    ended = bench.ended(worker, bench.add(body=None, location="s3://in/a.csv"))
    assert bench.blob(ended.output_digest) == bench.sync()
    ended = bench.ended(bench.worker(inputs=S3), bench.add(body=None, location="s3://in/none.csv"))
    assert (ended.attempts, ended.reason) == (1, "There is no 's3://in/none.csv'. Check the address.")
    bucket.status = 403
    waits = bench.add(body=None, location="s3://in/a.csv")
    queue = bench.store.async_invocations
    bench.run(bench.worker(inputs=S3), lambda: queue.get(waits.id).reason is not None)
    assert "could not be reached" in (queue.get(waits.id).reason or "")
    bucket.status = 0
    ended = bench.ended(bench.worker(inputs=S3), waits)
    assert (ended.status, ended.attempts, ended.reason) == ("completed", 2, None)


def test_an_input_that_may_no_longer_be_read_fails(bench: Bench, bucket: Buckets) -> None:
    """The settings of the server that answers hold."""
    ended = bench.ended(bench.worker(), bench.add(body=None, location="s3://in/a.csv"))
    assert ended.status == "failed"
    assert "may not be read. No addresses are allowed here" in (ended.reason or "")
    assert bucket.asked == []


def test_no_attempt_begins_when_the_time_is_over(bench: Bench) -> None:
    """One that waits to be tried again fails at once if that would be too late."""
    ended = bench.ended(bench.worker(), bench.add("fragile", FAILS, ttl_s=0.9))
    assert (ended.status, ended.attempts) == ("failed", 1)
    late = bench.add(ttl_s=60)
    queue = bench.store.async_invocations
    queue.claim("dead", ["price"], bench.now(), lease_s=1)
    bench.later += timedelta(seconds=61)
    ended = bench.ended(bench.worker(), late)
    assert (ended.status, ended.attempts) == ("failed", 2)
    assert (ended.reason or "").startswith("No more attempts begin after RequestTTLSeconds, 60.")


def test_an_attempt_that_takes_too_long_is_ended(bench: Bench) -> None:
    """It is not tried again."""
    ended = bench.ended(bench.worker(), bench.add("slow", LONG, timeout_s=1))
    assert (ended.status, ended.attempts) == ("expired", 1)
    assert ended.reason == "The answer took longer than InvocationTimeoutSeconds, 1. Allow more, or send less."


def test_one_whose_servers_die_is_given_up(bench: Bench) -> None:
    """It may be what they die of."""
    invocation = bench.add()
    for number in range(3):
        bench.store.async_invocations.claim(f"dead {number}", ["price"], bench.now(), lease_s=1)
        bench.later += timedelta(seconds=2)
    ended = bench.ended(bench.worker(), invocation)
    assert ended.status == "failed"
    assert (
        ended.reason == "The server that answered it ended 3 times before it had, as when memory runs out. Send less."
    )


def test_a_server_that_is_told_to_stop_gives_back_what_it_is_answering(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt does not count, and another takes it at once."""
    monkeypatch.setattr(worker_module, "_GRACE_S", 0.05)
    queue = bench.store.async_invocations
    invocation = bench.add("slow", LONG)
    bench.run(bench.worker(), lambda: queue.get(invocation.id).status == "running")
    assert queue.get(invocation.id) == invocation
    claimed = queue.claim("other", ["slow"], bench.now(), lease_s=10)
    assert claimed is not None
    assert claimed.attempts == 1
    queue.finish(invocation.id, "other", bench.now(), "failed")


def test_answers_are_put_where_they_are_wanted_and_not_computed_again_for_it(bench: Bench, bucket: Buckets) -> None:
    """As failures are."""
    places: dict[str, Any] = {
        "output_location": "s3://out/i.out",
        "failure_location": "s3://out/i-error.out",
        "is_put": True,
    }
    bucket.status = 403
    counts = bench.live.find("price").metrics
    before = counts.answered
    invocation = bench.add(**places)
    queue = bench.store.async_invocations
    bench.run(bench.worker(), lambda: queue.get(invocation.id).reason is not None)
    assert "'s3://out/i.out' could not be reached" in (queue.get(invocation.id).reason or "")
    bucket.status = 0
    ended = bench.ended(bench.worker(), invocation)
    assert (ended.status, ended.attempts) == ("completed", 2)
    assert bucket.objects == {"/out/i.out": b"1.0\n0.5\n"}
    assert bench.blob(ended.output_digest) == b"1.0\n0.5\n"
    assert counts.answered == before + 1
    bucket.status = 403
    invocation = bench.add(body=b"much,Ulm,2,\n", **places)
    bench.run(bench.worker(), lambda: queue.get(invocation.id).reason is not None)
    assert "'s3://out/i-error.out' could not be reached" in (queue.get(invocation.id).reason or "")
    bucket.status = 0
    failed = bench.ended(bench.worker(), invocation)
    assert (failed.status, failed.attempts) == ("failed", 2)
    assert bucket.objects["/out/i-error.out"] == bench.blob(failed.failure_digest)


def test_what_ended_long_ago_is_forgotten(bench: Bench) -> None:
    """With its blobs, when a worker tidies up."""
    ended = bench.ended(bench.worker(), bench.add())
    bench.later += timedelta(hours=2)
    bench.run(bench.worker(), lambda: not bench.store.async_invocations.list())
    assert not bench.store.async_invocations.blobs.has(ended.output_digest or "")


def test_a_full_queue_refuses(bench: Bench) -> None:
    """With the time to come again; nothing of the request stays in it."""
    policy = Policy.of(Settings(async_most_queued=1))
    woken: list[None] = []
    acceptance = Acceptance(bench.store, bench.live, bench.invocations, policy, 1000, lambda: woken.append(None))

    async def receive() -> Any:
        return {"type": "http.request", "body": LINES}

    async def ask() -> AsyncInvocation:
        return await acceptance.accept("price", b"", {b"content-type": b"text/csv"}, receive, "http://here/")

    accepted = asyncio.run(ask())
    with raises(QueueFullError, "1 async invocations wait, and no more are kept.") as caught:
        asyncio.run(ask())
    assert caught.value.retry_after_s == 5.0
    assert len(woken) == 1
    assert bench.ended(bench.worker(), accepted).status == "completed"
    asyncio.run(ask())
    assert acceptance.under_way == 0

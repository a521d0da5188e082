"""Async invocations are answered by one server at a time, and go on when it dies; what is over is forgotten."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from storage import Store, UnknownNameError
from storage.records import AsyncInvocation
from tests.processes import run_at_once
from tests.records import NOW
from tests.refusals import raises

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
SERVED = ["demo"]


def invocation(id_: str = "i1", **fields: Any) -> AsyncInvocation:
    """One that has just been asked for, and may wait for an hour."""
    given: dict[str, Any] = {
        "endpoint": "demo",
        "inference_id": "mine",
        "status": "queued",
        "request": "{}",
        "due_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        "created_at": NOW,
        **fields,
    }
    return AsyncInvocation(id_, **given)


def add(store: Store, *invocations: AsyncInvocation) -> None:
    for one in invocations:
        assert store.async_invocations.add(one, most_queued=100) == one


def claimed(store: Store, owner: str = "a", now: datetime = NOW) -> AsyncInvocation:
    found = store.async_invocations.claim(owner, SERVED, now, lease_s=10)
    assert found is not None
    return found


def old(store: Store, digest: str) -> None:
    """Have a blob be as old as the made-up times of these tests."""
    os.utime(store.async_invocations.blobs.path(digest), (NOW.timestamp(), NOW.timestamp()))


def test_one_is_claimed_answered_and_ended(store: Store) -> None:
    """Whoever looks sees how far it is."""
    add(store, invocation())
    found = claimed(store)
    assert found == store.async_invocations.get("i1")
    assert (found.status, found.owner, found.attempts, found.lease_until) == ("running", "a", 1, NOW + 10 * SECOND)
    assert store.async_invocations.counts() == {"running": 1}
    later = NOW + SECOND
    assert store.async_invocations.finish("i1", "a", later, "completed", reply="{}", output_digest="0" * 64)
    ended = store.async_invocations.get("i1")
    assert (ended.status, ended.ended_at, ended.output_digest, ended.owner) == ("completed", later, "0" * 64, None)
    assert store.async_invocations.claim("b", SERVED, NOW + DAY, lease_s=10) is None


def test_what_is_due_first_is_claimed_first_and_only_where_it_is_served(store: Store) -> None:
    """One that is due later waits until then."""
    add(store, invocation("late", due_at=NOW + 2 * SECOND), invocation("early"), invocation("other", endpoint="x"))
    assert store.async_invocations.oldest_queued() == NOW
    assert claimed(store).id == "early"
    assert store.async_invocations.claim("a", SERVED, NOW, lease_s=10) is None
    assert claimed(store, now=NOW + 2 * SECOND).id == "late"
    assert store.async_invocations.claim("b", ["x"], NOW, lease_s=10) is not None


def test_the_same_id_is_added_once_and_a_full_queue_takes_no_more(store: Store) -> None:
    """What runs takes no place in it."""
    add(store, invocation("a"), invocation("b"))
    again = store.async_invocations.add(invocation("a", inference_id="another"), most_queued=2)
    assert again == invocation("a")
    assert store.async_invocations.add(invocation("c"), most_queued=2) is None
    claimed(store)
    assert store.async_invocations.add(invocation("c"), most_queued=2) is not None


def test_an_input_that_is_gone_is_told(store: Store) -> None:
    """Nothing is in the queue then."""
    with raises(UnknownNameError, "Send it again."):
        store.async_invocations.add(invocation(input_digest="0" * 64), most_queued=100)
    assert store.async_invocations.counts() == {}


def test_another_goes_on_when_a_lease_ends_and_the_first_is_told(store: Store) -> None:
    """It can change nothing any more."""
    add(store, invocation())
    claimed(store)
    assert store.async_invocations.claim("b", SERVED, NOW + 9 * SECOND, lease_s=10) is None
    store.async_invocations.renew("a", ["i1"], NOW + 9 * SECOND, lease_s=10)
    assert store.async_invocations.claim("b", SERVED, NOW + 11 * SECOND, lease_s=10) is None
    assert claimed(store, "b", NOW + 19 * SECOND).attempts == 2
    assert not store.async_invocations.finish("i1", "a", NOW, "completed")
    assert not store.async_invocations.retry("i1", "a", NOW, "no")
    assert not store.async_invocations.release("i1", "a")
    assert not store.async_invocations.note_output("i1", "a", "0" * 64, "{}")
    assert store.async_invocations.get("i1").owner == "b"


def test_one_that_was_given_back_waits_as_if_not_begun_and_one_that_failed_waits_for_its_time(store: Store) -> None:
    """The end of a server is no failed attempt; an answer that was kept stays."""
    add(store, invocation())
    claimed(store)
    assert store.async_invocations.release("i1", "a")
    assert store.async_invocations.get("i1") == invocation()
    claimed(store)
    assert store.async_invocations.note_output("i1", "a", "0" * 64, "{}")
    assert store.async_invocations.retry("i1", "a", NOW + 5 * SECOND, "no room")
    waiting = store.async_invocations.get("i1")
    assert (waiting.status, waiting.attempts, waiting.reason) == ("queued", 1, "no room")
    assert waiting.output_digest == "0" * 64
    assert store.async_invocations.claim("a", SERVED, NOW + 4 * SECOND, lease_s=10) is None
    assert claimed(store, now=NOW + 5 * SECOND).attempts == 2


def test_what_is_too_late_is_given_to_any_server(store: Store) -> None:
    """One that does not serve its endpoint can say so too, also if whoever began it has died."""
    add(store, invocation("waits", endpoint="gone"), invocation("began"))
    claimed(store)
    late = NOW + timedelta(hours=2)
    assert {store.async_invocations.claim("b", [], late, lease_s=10).id for _ in range(2)} == {"waits", "began"}  # type: ignore[union-attr]
    assert store.async_invocations.claim("b", [], late, lease_s=10) is None


def test_several_processes_share_a_queue(store: Store) -> None:
    """Each invocation is given to one of them."""
    add(store, *(invocation(f"i{number}") for number in range(40)))
    script = """
import sys
from datetime import datetime
from storage import Store
store = Store.open(sys.argv[1])
input("ready\\n")
now = datetime.fromisoformat(sys.argv[2])
while (found := store.async_invocations.claim(str(id(store)), ["demo"], now, lease_s=10)):
    print(found.id)
"""
    outputs = run_at_once(script, store.root, NOW.isoformat())
    ids = [id_ for output in outputs for id_ in output.split()]
    assert len(ids) == 40
    assert set(ids) == {f"i{number}" for number in range(40)}


def test_a_webhook_is_due_when_its_invocation_has_ended(store: Store) -> None:
    """It is told by one server at a time, again at its time, and then no more."""
    add(store, invocation("told", webhook="https://h/"), invocation("quiet"))
    assert store.async_invocations.claim_webhook("a", NOW, lease_s=10) is None
    for _ in range(2):
        one = claimed(store)
        store.async_invocations.finish(one.id, "a", NOW, "failed", reason="no")
    assert store.async_invocations.get("quiet").webhook_status is None
    found = store.async_invocations.claim_webhook("a", NOW, lease_s=10)
    assert found is not None
    assert (found.id, found.webhook_status, found.webhook_attempts) == ("told", "waiting", 1)
    assert store.async_invocations.claim_webhook("b", NOW + 9 * SECOND, lease_s=10) is None
    assert store.async_invocations.claim_webhook("b", NOW + 10 * SECOND, lease_s=10) is not None
    assert not store.async_invocations.note_webhook("told", "a", "told")
    again = NOW + 20 * SECOND
    assert store.async_invocations.note_webhook("told", "b", "waiting", due_at=again, reason="503")
    assert store.async_invocations.claim_webhook("a", again - SECOND, lease_s=10) is None
    assert store.async_invocations.claim_webhook("a", again, lease_s=10) is not None
    assert store.async_invocations.note_webhook("told", "a", "told")
    assert store.async_invocations.claim_webhook("a", again + DAY, lease_s=10) is None
    assert store.async_invocations.get("told").webhook_attempts == 3


def test_what_ended_long_ago_is_forgotten_with_its_blobs(store: Store) -> None:
    """But for those that another refers to, and where the webhook has still to be told."""
    blobs = store.async_invocations.blobs
    shared, own, output = (blobs.put(data) for data in (b"shared", b"own", b"output"))
    for digest in (shared, own, output):
        old(store, digest)
    add(store, invocation("a", input_digest=own), invocation("b", input_digest=shared))
    add(store, invocation("c", input_digest=shared, due_at=NOW + DAY), invocation("d", webhook="https://h/"))
    for one in (claimed(store), claimed(store), claimed(store)):
        store.async_invocations.finish(one.id, "a", NOW, "completed", output_digest=output)
    now = NOW + DAY
    assert store.async_invocations.forget(NOW, now) == 0
    assert store.async_invocations.forget(NOW + SECOND, now) == 2
    assert [one.id for one in store.async_invocations.list()] == ["d", "c"]
    assert [blobs.has(digest) for digest in (shared, own, output)] == [True, False, True]
    with raises(UnknownNameError, "The store has no async invocation 'a'."):
        store.async_invocations.get("a")


def test_an_input_goes_when_all_that_ask_for_it_have_ended(store: Store) -> None:
    """It may hold what capture leaves out. Uploads stay, and what has just been kept."""
    queue, blobs = store.async_invocations, store.async_invocations.blobs
    own, shared, uploaded, fresh = (blobs.put(data) for data in (b"own", b"shared", b"uploaded", b"fresh"))
    queue.note_upload(uploaded)
    for digest in (own, shared, uploaded):
        old(store, digest)
    add(store, *(invocation(digest[:8], input_digest=digest) for digest in (own, shared, uploaded, fresh)))
    for _ in range(4):
        assert queue.finish(claimed(store).id, "a", NOW + SECOND, "completed")
    add(store, invocation("waits", input_digest=shared))
    now = datetime.now(UTC)
    assert queue.forget_inputs(NOW + 2 * SECOND, now) == 0
    assert queue.forget_inputs(NOW, now) == 1
    assert [blobs.has(digest) for digest in (own, shared, uploaded, fresh)] == [False, True, True, True]
    assert queue.get(own[:8]).input_digest == own
    assert queue.finish(claimed(store).id, "a", NOW + SECOND, "failed")
    assert (queue.forget_inputs(NOW, now), blobs.has(shared)) == (1, False)


def test_only_the_owner_of_a_store_reads_inputs(store: Store) -> None:
    """Also in one that was made before."""
    folder = store.async_invocations.blobs.path("0" * 64).parents[1]
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    Store.open(store.root).close()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_blobs_that_nothing_refers_to_are_swept_away_when_they_are_old(store: Store) -> None:
    """One that has just been written may be of an invocation that is being added."""
    blobs = store.async_invocations.blobs
    used, unused, fresh, renewed = (blobs.put(data) for data in (b"used", b"unused", b"fresh", b"renewed"))
    for digest in (used, unused, renewed):
        old(store, digest)
    blobs.keep(renewed)
    left = store.async_invocations.incoming()
    left.write_bytes(b"of a client that went away with its server")
    os.utime(left, (NOW.timestamp(), NOW.timestamp()))
    add(store, invocation(input_digest=used))
    now = datetime.now(UTC)
    assert store.async_invocations.sweep(now, now) == 1
    assert [blobs.has(digest) for digest in (used, unused, fresh, renewed)] == [True, False, True, True]
    assert not left.exists()


def test_lists_are_newest_first_and_in_pages(store: Store) -> None:
    """Of an endpoint, or in a status."""
    add(store, *(invocation(f"i{number}", created_at=NOW + number // 2 * SECOND) for number in range(5)))
    ids = [one.id for one in store.async_invocations.list(limit=2)]
    assert ids == ["i4", "i3"]
    assert [one.id for one in store.async_invocations.list(limit=2, before="i3")] == ["i2", "i1"]
    assert store.async_invocations.list(endpoint="x") == store.async_invocations.list(status="failed") == []
    assert len(store.async_invocations.list(endpoint="demo", status="queued")) == 5
    with pytest.raises(UnknownNameError):
        store.async_invocations.list(before="i9")

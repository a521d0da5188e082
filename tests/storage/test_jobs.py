"""Jobs are claimed by one process at a time, and go on when it dies."""

import json
from datetime import timedelta

import pytest

from storage import InputError, Store, UnknownNameError
from storage.jobs import MOST_ATTEMPTS
from tests.processes import run_at_once
from tests.records import NOW
from tests.refusals import raises

SECOND = timedelta(seconds=1)


def test_a_job_is_claimed_worked_on_and_ended(store: Store) -> None:
    """Whoever looks sees how far it is."""
    job = store.jobs.create("batch", "{}", NOW)
    assert store.jobs.get(job.id) == job
    assert store.jobs.waits("batch", NOW)
    claimed = store.jobs.claim("batch", "a", NOW + SECOND, lease_s=10)
    assert claimed == store.jobs.get(job.id)
    assert claimed is not None
    assert (claimed.status, claimed.owner, claimed.attempts, claimed.started_at) == ("running", "a", 1, NOW + SECOND)
    assert store.jobs.renew(job.id, "a", NOW + 2 * SECOND, lease_s=10, progress="half")
    assert store.jobs.get(job.id).progress == "half"
    assert store.jobs.finish(job.id, "a", NOW + 3 * SECOND, "completed", result="all")
    ended = store.jobs.get(job.id)
    assert (ended.status, ended.result, ended.progress, ended.ended_at) == (
        "completed",
        "all",
        "half",
        NOW + 3 * SECOND,
    )
    assert store.jobs.claim("batch", "b", NOW + 60 * SECOND, lease_s=10) is None


def test_the_oldest_is_claimed_first_and_not_too_many_at_once(store: Store) -> None:
    """One at a time, unless more are allowed."""
    first, second = (store.jobs.create("batch", "{}", NOW + n * SECOND) for n in range(2))
    claimed = store.jobs.claim("batch", "a", NOW, lease_s=10)
    assert claimed is not None
    assert claimed.id == first.id
    assert not store.jobs.waits("batch", NOW)
    assert store.jobs.claim("batch", "b", NOW, lease_s=10) is None
    claimed = store.jobs.claim("batch", "b", NOW, lease_s=10, most_running=2)
    assert claimed is not None
    assert claimed.id == second.id


def test_another_goes_on_when_a_lease_ends_and_the_first_is_told(store: Store) -> None:
    """It can change nothing any more."""
    job = store.jobs.create("batch", "{}", NOW)
    store.jobs.claim("batch", "a", NOW, lease_s=10)
    assert store.jobs.claim("batch", "b", NOW + 9 * SECOND, lease_s=10) is None
    again = store.jobs.claim("batch", "b", NOW + 10 * SECOND, lease_s=10)
    assert again is not None
    assert (again.id, again.owner, again.attempts, again.started_at) == (job.id, "b", 2, NOW)
    assert not store.jobs.renew(job.id, "a", NOW + 11 * SECOND, lease_s=10, progress=None)
    assert not store.jobs.finish(job.id, "a", NOW + 11 * SECOND, "completed")
    assert not store.jobs.release(job.id, "a")
    assert store.jobs.get(job.id).owner == "b"


def test_the_lease_of_a_dead_owner_ends_when_that_is_known(store: Store) -> None:
    """Nobody waits for it."""
    store.jobs.create("batch", "{}", NOW)
    store.jobs.claim("batch", "a", NOW, lease_s=10)
    store.jobs.expire("a", NOW + SECOND)
    assert store.jobs.claim("batch", "b", NOW + SECOND, lease_s=10) is not None


def test_a_job_that_was_given_back_waits_as_if_not_begun(store: Store) -> None:
    """The end of a server is no failed attempt."""
    job = store.jobs.create("batch", "{}", NOW)
    store.jobs.claim("batch", "a", NOW, lease_s=10)
    assert store.jobs.release(job.id, "a")
    assert (store.jobs.get(job.id).status, store.jobs.get(job.id).attempts) == ("queued", 0)


def test_a_job_whose_processes_die_is_given_up(store: Store) -> None:
    """After the third, with the reason."""
    job = store.jobs.create("batch", "{}", NOW)
    for attempt in range(MOST_ATTEMPTS):
        at = NOW + 20 * attempt * SECOND
        assert store.jobs.claim("batch", f"process {attempt}", at, lease_s=10) is not None
    assert store.jobs.claim("batch", "another", NOW + 90 * SECOND, lease_s=10) is None
    assert (store.jobs.get(job.id).status, store.jobs.get(job.id).reason) == (
        "failed",
        "the process that worked on it died 3 times, as when memory runs out",
    )


def test_a_job_is_stopped_once_and_nobody_works_on_it_then(store: Store) -> None:
    """Its owner is told when it renews."""
    job = store.jobs.create("batch", "{}", NOW)
    store.jobs.claim("batch", "a", NOW, lease_s=10)
    stopped = store.jobs.stop(job.id, NOW + SECOND)
    assert (stopped.status, stopped.ended_at) == ("stopped", NOW + SECOND)
    assert store.jobs.stop(job.id, NOW + 2 * SECOND) == stopped
    assert not store.jobs.renew(job.id, "a", NOW + 2 * SECOND, lease_s=10, progress=None)
    assert not store.jobs.waits("batch", NOW + 60 * SECOND)


def test_what_has_ended_cannot_be_stopped(store: Store) -> None:
    """And what never was is told."""
    job = store.jobs.create("batch", "{}", NOW)
    store.jobs.claim("batch", "a", NOW, lease_s=10)
    store.jobs.finish(job.id, "a", NOW, "failed", reason="why")
    with raises(InputError, f"Job '{job.id}' has failed. There is nothing left to stop."):
        store.jobs.stop(job.id, NOW)
    for call in (store.jobs.get, lambda id: store.jobs.stop(id, NOW), lambda id: store.jobs.list(before=id)):
        with raises(UnknownNameError, "The store has no job 'none'."):
            call("none")


def test_jobs_are_listed_newest_first_page_by_page(store: Store) -> None:
    """Also those of one moment; and counted by status."""
    jobs = [store.jobs.create("batch", "{}", NOW + (n // 2) * SECOND) for n in range(5)]
    store.jobs.claim("batch", "a", NOW, lease_s=10)
    found, before = [], None
    while page := store.jobs.list(limit=2, before=before):
        found += page
        before = page[-1].id
    assert sorted(job.id for job in found) == sorted(job.id for job in jobs)
    assert [job.created_at for job in found] == sorted((job.created_at for job in jobs), reverse=True)
    assert [job.status for job in store.jobs.list(status="running")] == ["running"]
    assert store.jobs.counts("batch") == {"queued": 4, "running": 1}


def test_a_job_of_one_kind_is_none_of_another(store: Store) -> None:
    """Whoever asks for a batch transform by the id of a backtest is told, and stops nothing."""
    store.jobs.create("batch", "{}", NOW)
    other = store.jobs.create("backtest", "{}", NOW + SECOND)
    assert store.jobs.get(other.id, "backtest") == other
    calls = (
        lambda: store.jobs.get(other.id, "batch"),
        lambda: store.jobs.stop(other.id, NOW, "batch"),
        lambda: store.jobs.list(kind="batch", before=other.id),
    )
    for call in calls:
        with raises(UnknownNameError, f"Job '{other.id}' is a backtest job, and a batch job was asked for."):
            call()
    assert store.jobs.get(other.id).status == "queued"


def test_jobs_are_listed_by_what_their_spec_says(store: Store) -> None:
    """By a text in it; results are left out where they are not asked for."""
    for number, name in enumerate(("a", "b", 'a"')):
        store.jobs.create("backtest", f'{{"schedule": {{"name": {json.dumps(name)}}}}}', NOW + number * SECOND)
    job = store.jobs.claim("backtest", "me", NOW, lease_s=10)
    assert job is not None
    store.jobs.finish(job.id, "me", NOW, "completed", result="all")
    (found,) = store.jobs.list(kind="backtest", spec=(("schedule", "name"), "a"))
    assert (found.id, found.result) == (job.id, "all")
    (found,) = store.jobs.list(kind="backtest", spec=(("schedule", "name"), "a"), results=False)
    assert (found.id, found.status, found.result) == (job.id, "completed", None)
    assert len(store.jobs.list(spec=(("schedule", "name"), 'a"'))) == 1
    assert store.jobs.list(spec=(("schedule", "endpoint"), "a")) == []


def test_jobs_of_a_kind_are_forgotten_when_they_ended_long_ago(store: Store) -> None:
    """What waits or runs stays, and so does another kind."""
    for kind in ("backtest", "batch"):
        for _ in range(3):
            store.jobs.create(kind, "{}", NOW)
        for seconds in (1, 2):
            job = store.jobs.claim(kind, "me", NOW, lease_s=10)
            assert job is not None
            store.jobs.finish(job.id, "me", NOW + seconds * SECOND, "completed")
    assert store.jobs.forget("backtest", NOW + 2 * SECOND) == 1
    assert store.jobs.counts("backtest") == {"completed": 1, "queued": 1}
    assert store.jobs.counts("batch") == {"completed": 2, "queued": 1}


CLAIM = """
import sys
from datetime import UTC, datetime
from storage import Store
store = Store.open(sys.argv[1])
input("ready\\n")
job = store.jobs.claim("batch", "someone", datetime.now(UTC), lease_s=10, most_running=9)
print(job.id if job else None)
"""


@pytest.mark.parametrize("count", [4])
def test_a_job_is_claimed_by_one_of_several_processes(store: Store, count: int) -> None:
    """At the same moment."""
    job = store.jobs.create("batch", "{}", NOW)
    said = sorted(line for out in run_at_once(CLAIM, store.root, count=count) for line in out.splitlines() if line)
    assert said == sorted([job.id, *["None"] * (count - 1)])

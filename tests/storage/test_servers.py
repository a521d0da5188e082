"""Servers say that they are there; the state of an endpoint is what they say of it."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from storage import Store
from storage.records import Endpoint, Rollout, Server, Serving, Tally, Variant
from storage.servers import status_of
from storage.shadows import Durations, ShadowTally, encoded, shadow_reports, subject_of
from tests import portable, processes
from tests.records import NOW

SECOND = timedelta(seconds=1)
ENDPOINT = Endpoint("paid", (Variant("main", "demo", 1),), 3, NOW, NOW)
ROLLOUT = Rollout(
    "r1", "paid", "running", "canary", 0.1, 60.0, 0.05, (), ENDPOINT.variants, ENDPOINT.variants, 0, NOW, NOW
)


def server(id: str = "a", **serving: Serving) -> Server:
    """A server that has just said what it serves."""
    return Server(id, "localhost", 42, NOW, NOW, serving)


def test_a_server_is_listed_until_it_has_been_silent_for_ten_seconds(store: Store) -> None:
    """And is forgotten when another says that it is there."""
    store.servers.beat(server("b", paid=Serving(3)))
    store.servers.beat(server("a"))
    assert store.servers.list(NOW + 10 * SECOND) == [server("a"), server("b", paid=Serving(3))]
    assert store.servers.list(NOW + 11 * SECOND) == []
    late = replace(server("c"), seen_at=NOW + 11 * SECOND)
    store.servers.beat(late)
    assert store.servers.list(NOW) == [late]


def test_the_last_word_of_a_server_holds(store: Store) -> None:
    """Until it ends."""
    store.servers.beat(server(paid=Serving(2)))
    now = replace(server(paid=Serving(3, notes=("It runs on the CPU.",))), seen_at=NOW + SECOND)
    store.servers.beat(now)
    assert store.servers.list(NOW) == [now]
    store.servers.remove("a")
    store.servers.remove("a")
    assert store.servers.list(NOW) == []


def test_what_servers_have_counted_outlives_them(store: Store) -> None:
    """The newest tally of each takes the place of the one before."""
    for body in ("1", "2"):
        store.servers.beat(server(), [Tally("shadow:paid:1", "a", "next", NOW, body)])
    store.servers.beat(server("b"), [Tally("shadow:paid:1", "b", "next", NOW, "3")])
    store.servers.beat(server("b"), [Tally("shadow:paid:2", "b", "next", NOW, "4"), Tally("r1", "b", "new", NOW, "5")])
    store.servers.remove("a")
    assert [tally.body for tally in store.servers.tallies("shadow:paid:1")] == ["2", "3"]
    assert [tally.body for tally in store.servers.tallies("shadow:paid:")] == ["2", "3", "4"]
    assert [tally.body for tally in store.servers.tallies("r1")] == ["5"]


GOOD, OLD = Serving(3), Serving(2)
BAD = Serving(2, failed=3, reason="The blob is gone.")
NEVER = Serving(0, failed=3, reason="The blob is gone.")


@pytest.mark.parametrize(
    ("told", "rollout", "state", "reason"),
    [
        ([], None, "Creating", "No server runs"),
        ([None], None, "Creating", "Servers are loading it."),
        ([None, None], ROLLOUT, "Creating", "Servers are loading it."),
        ([GOOD], None, "InService", None),
        ([GOOD, GOOD], replace(ROLLOUT, status="completed"), "InService", None),
        ([GOOD, GOOD], replace(ROLLOUT, status="rolled back"), "InService", None),
        ([GOOD, GOOD], ROLLOUT, "Updating", "Roll-out r1 goes on."),
        ([OLD], None, "Updating", "1 of 1 servers do not serve revision 3 yet."),
        ([GOOD, OLD, None], None, "Updating", "2 of 3 servers do not"),
        ([GOOD, BAD], None, "Updating", "One could not load it: The blob is gone."),
        ([OLD, BAD], None, "Updating", "One could not load it: The blob is gone."),
        ([GOOD, OLD], replace(ROLLOUT, status="rolled back", reason="Too many errors."), "RollingBack", "Too many er"),
        ([BAD, BAD], None, "Failed", "No server could load revision 3: The blob is gone."),
        ([NEVER], None, "Failed", "No server could load revision 3: The blob is gone."),
        ([Serving(2, failed=1, reason="Long ago.")], None, "Updating", "1 of 1 servers"),
        ([Serving(3, notes=("It runs on the CPU.",))], None, "InService", "It runs on the CPU."),
    ],
)
def test_the_state_of_an_endpoint(
    told: list[Serving | None], rollout: Rollout | None, state: str, reason: str | None
) -> None:
    """By what each server makes of it; None has not heard of it."""
    running = [server(str(at), **({} if one is None else {"paid": one})) for at, one in enumerate(told)]
    found = status_of(ENDPOINT, running, [] if rollout is None else [rollout])
    assert found.state == state
    assert (found.reason is None) if reason is None else reason in (found.reason or "")
    assert [one.is_current for one in found.servers] == [one is not None and one.revision == 3 for one in told]


@pytest.mark.parametrize("expected", [1, 0])
def test_an_endpoint_that_two_processes_change_at_once_is_one_of_theirs(store: Store, expected: int) -> None:
    """Whole: of those that have seen the same revision one wins, and the other is told; also where it is new."""
    for shift in (0.0, 1.0):
        portable.publish(store, portable.classifier(shift))
    if expected:
        store.endpoints.deploy("paid", store.models.get("demo:1"), NOW)
    script = """
import os, sys
from datetime import UTC, datetime
from storage import ConflictError, Store
from storage.records import Endpoint, EndpointLimits, Variant
store = Store.open(sys.argv[1])
now, rows = datetime.now(UTC), os.getpid()
variants = (Variant(f"old{rows}", "demo", 1, rows), Variant(f"new{rows}", "demo", 2, rows))
input("ready\\n")
try:
    made = store.endpoints.put(
        Endpoint("paid", variants, 0, now, now, limits=EndpointLimits(max_rows=rows)), now, expected=int(sys.argv[2])
    )
    print("made", rows, made.revision)
except ConflictError:
    print("conflict", rows, 0)
"""
    printed = [out.split() for out in processes.run_at_once(script, store.root, expected, count=3)]
    (winner,) = [(int(rows), int(revision)) for verdict, rows, revision in printed if verdict == "made"]
    rows, revision = winner
    found = store.endpoints.get("paid")
    assert (found.revision, found.limits.max_rows) == (revision, rows) == (expected + 1, rows)
    assert [(v.name, v.weight) for v in found.variants] == [(f"old{rows}", rows), (f"new{rows}", rows)]


def tally(against: str = "demo:1", model: str = "demo:2", **counts: float) -> ShadowTally:
    """What a server has counted of a shadow."""
    made = ShadowTally(model, against, **counts)  # pyright: ignore[reportArgumentType]
    made.shadow.add(0.002, times=made.requests)
    made.production.add(0.001, times=made.requests)
    return made


def test_tallies_of_all_servers_and_revisions_are_one_report(store: Store) -> None:
    """But for those of another version that the shadow once was, or of a shadow that there is no more."""
    for shift in (0.0, 1.0):
        portable.publish(store, portable.classifier(shift))
    shadow = Variant("next", "demo", 2, 0.5)
    endpoint = store.endpoints.put(replace(ENDPOINT, shadows=(shadow,)), NOW)
    first = encoded([tally(requests=2, rows=4, agreed=3, differences=4, difference_sum=1.0, difference_max=0.5)])
    newer = encoded([tally(requests=1, rows=1, agreed=1, differences=1, failed=1, error="Oh.", skipped=3)])
    other = encoded([tally(model="demo:1", requests=9)])
    subject = subject_of(endpoint)
    store.servers.beat(server("a"), [Tally(subject, "a", "next", NOW, first), Tally(subject, "a", "gone", NOW, other)])
    endpoint = store.endpoints.set_weights("paid", {"main": 3}, NOW)
    store.servers.beat(
        server("b"), [Tally(subject_of(endpoint), "b", "next", NOW, newer), Tally(subject, "b", "next", NOW, other)]
    )
    (report,) = shadow_reports(store, endpoint)
    assert (report.shadow, report.model, report.share, report.against) == ("next", "demo:2", 0.5, "demo:1")
    assert (report.requests, report.rows, report.skipped, report.failed, report.error) == (3, 5, 3, 1, "Oh.")
    assert (report.agreement, report.mean_difference, report.max_difference) == (0.8, 0.2, 0.5)
    assert report.shadow_latency is not None
    assert report.shadow_latency.mean_ms == pytest.approx(2.0)
    assert report.shadow_latency.p95_ms == pytest.approx(2.0, rel=0.1)


def test_a_shadow_that_has_seen_nothing_has_no_figures(store: Store) -> None:
    """And one that has only been skipped tells that."""
    portable.publish(store, portable.regressor())
    endpoint = store.endpoints.put(replace(ENDPOINT, shadows=(Variant("next", "demo", 1),)), NOW)
    assert shadow_reports(store, endpoint) == []
    body = encoded([ShadowTally("demo:1", "demo:1", skipped=2)])
    store.servers.beat(server(), [Tally(subject_of(endpoint), "a", "next", NOW, body)])
    (report,) = shadow_reports(store, endpoint)
    assert (report.skipped, report.agreement, report.mean_difference, report.shadow_latency) == (2, None, None, None)


def test_tallies_go_with_their_endpoint_and_after_a_week(store: Store) -> None:
    """A new endpoint of the same name begins with nothing; what is older than a week when it changes is dropped."""
    portable.publish(store, portable.classifier())
    endpoint = store.endpoints.put(ENDPOINT, NOW)
    told = [Tally(subject_of(endpoint), "a", "next", NOW, "[]")]
    other = Tally("shadow:paid2:1", "a", "next", NOW, "[]")
    store.servers.beat(server(), [*told, other])
    store.endpoints.set_weights("paid", {"main": 2}, NOW + timedelta(days=6))
    assert store.servers.tallies("shadow:paid:") == told
    store.endpoints.set_weights("paid", {"main": 3}, NOW + timedelta(days=8))
    assert store.servers.tallies("shadow:paid:") == []
    store.servers.beat(server(), told)
    store.endpoints.delete("paid", NOW)
    assert store.servers.tallies("shadow:paid:") == []
    assert store.servers.tallies("shadow:paid2:") == [other]


def test_durations_are_told_within_a_tenth() -> None:
    """However they are put together."""
    one, other = Durations(), Durations()
    for at in range(1, 101):
        (one if at % 2 else other).add(at / 1000)
    one.merge(other)
    assert one.count == 100
    assert one.quantile(0.5) == pytest.approx(0.05, rel=0.1)
    assert one.quantile(0.95) == pytest.approx(0.095, rel=0.1)
    assert one.total_s == pytest.approx(5.05)

"""Roll-outs in the store: what may begin, one step at a time, by one owner, and back again."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from storage import ConflictError, InputError, Store, UnknownNameError
from storage.records import CapturePolicy, Guard, Measured, Rollout, RolloutProgress, Variant
from storage.rollouts import LEASE_S, Plan
from tests import portable
from tests.records import NOW

LATER = NOW + timedelta(seconds=LEASE_S + 1)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The same, and a `price:1` that predicts numbers; for those who change nothing."""
    store = Store.open(tmp_path_factory.mktemp("unchanged") / "store")
    portable.publish(store, portable.classifier(), endpoint="demo")
    portable.publish(store, portable.classifier(0.5))
    portable.publish(store, portable.regressor(), name="price")
    yield store
    store.close()


@pytest.fixture
def demo(store: Store) -> Store:
    """A store with an endpoint that serves `demo:1`, and a `demo:2`."""
    portable.publish(store, portable.classifier(), endpoint="demo")
    portable.publish(store, portable.classifier(0.5))
    return store


def begin(store: Store, **plan: Any) -> Rollout:
    """A roll-out of the newest version, owned by `one`."""
    rollout = store.rollouts.start("demo", Plan("demo", **plan), NOW)
    assert store.rollouts.claim(rollout, "one", NOW)
    return rollout


def to_the_end(store: Store, rollout: Rollout) -> Rollout:
    """Step by step until it is completed."""
    while rollout.status == "running":
        advanced = store.rollouts.advance(rollout, "one", NOW)
        assert advanced is not None
        rollout = advanced
    return rollout


def test_it_begins_with_the_new_beside_the_old(demo: Store) -> None:
    """Which get no request yet."""
    rollout = begin(demo)
    found = demo.endpoints.get("demo")
    assert found.variants == (Variant("main", "demo", 1, 100), Variant("v2", "demo", 2, 0))
    assert (rollout.before, rollout.after) == ((Variant("main", "demo", 1),), (Variant("v2", "demo", 2),))
    assert (rollout.step, rollout.revision, rollout.status) == (0, found.revision, "running")
    assert demo.rollouts.running("demo") == replace(rollout, owner="one", lease_until=NOW + timedelta(seconds=LEASE_S))


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (Plan(), "takes a model, such as churn:4, or variants"),
        (Plan("demo", share=0.0), "The share of a step is 0"),
        (Plan("demo", share=1.0), "The share of a step is 1"),
        (Plan("demo", strategy="linear", share=0.001), "Steps of 0.001 are too many"),
        (Plan("demo", wait_s=-1), "The wait is -1 s"),
        (Plan("demo", wait_s=float("nan")), "The wait is nan s"),
        (Plan("demo", alpha=0), "alpha is 0"),
        (Plan("demo", minimum=0), "The minimum is 0"),
        (Plan("demo", guards=()), "has no guard"),
        (Plan("demo", guards=(Guard("errors"), Guard("errors"))), "Guard 'errors' is given twice"),
        (Plan("demo", guards=(Guard("errors", 5.0),)), "Only latency has one"),
        (Plan("demo", guards=(Guard("latency", 0.0),)), "The limit of guard 'latency' is 0 ms"),
        (Plan("demo", guards=(Guard("scores", floor=1.0),)), "The floor of guard 'scores' is 1"),
        (Plan("demo:1"), "go to 'demo:1' already"),
        (Plan(variants=(Variant("main", "demo", 2),)), "has a variant 'main', with demo:1"),
        (Plan(variants=(Variant("new", "demo", 2, 0),)), "The weights of the new variants sum to 0"),
        (Plan(variants=(Variant("a", "demo", 2, 1e308), Variant("b", "demo", 2, 1e308))), "sum to more than a number"),
        (Plan(variants=(Variant("new", "demo", 2, -1),)), "The weight of variant 'new' is -1"),
        (Plan(variants=(Variant("n" * 500, "demo", 2, -1),)), f"The weight of variant '{'n' * 80}' is -1"),
        (Plan(variants=(Variant("a b", "demo", 2),)), "'a b' cannot name a variant"),
        (Plan(variants=(Variant("new", "demo", 2), Variant("new", "demo", 2))), "Two of the new variants"),
        (Plan("other"), "The store has no model 'other'"),
        (Plan("price"), "predicts a number"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(unchanged: Store, plan: Plan, told: str) -> None:
    """And nothing is changed."""
    with pytest.raises(InputError, match=told):
        unchanged.rollouts.start("demo", plan, NOW)
    assert (unchanged.endpoints.get("demo").revision, unchanged.rollouts.list()) == (1, [])


def test_what_there_is_not_is_told(unchanged: Store) -> None:
    """Endpoints and roll-outs."""
    rollouts = unchanged.rollouts
    for do in (lambda: rollouts.start("x", Plan("demo"), NOW), lambda: rollouts.stop("x", NOW)):
        with pytest.raises(UnknownNameError, match="no endpoint 'x'"):
            do()
    with pytest.raises(UnknownNameError, match="no endpoint 'x'"):
        rollouts.rollback("x", NOW)
    with pytest.raises(UnknownNameError, match="no roll-out 'x'"):
        rollouts.get("x")
    with pytest.raises(InputError, match="No roll-out runs on endpoint 'demo'"):
        rollouts.stop("demo", NOW)


def test_one_runs_at_a_time(demo: Store) -> None:
    """On an endpoint."""
    rollout = begin(demo)
    with pytest.raises(ConflictError, match=f"Roll-out {rollout.id} runs on endpoint 'demo'"):
        demo.rollouts.start("demo", Plan("demo"), NOW)


def test_who_has_seen_another_revision_begins_nothing(demo: Store) -> None:
    """As with any change of an endpoint."""
    with pytest.raises(ConflictError, match="is at revision 1, and revision 7"):
        demo.rollouts.start("demo", Plan("demo"), NOW, expected=7)
    assert demo.rollouts.list() == []


def test_each_step_changes_the_endpoint_and_the_roll_out_together(demo: Store) -> None:
    """Until only the new are left."""
    rollout = begin(demo, strategy="linear", share=0.4)
    for step, weights in ((1, [60, 40]), (2, [20, 80])):
        advanced = demo.rollouts.advance(rollout, "one", NOW)
        assert advanced is not None
        rollout = advanced
        found = demo.endpoints.get("demo")
        assert [variant.weight for variant in found.variants] == weights
        assert (rollout.step, rollout.revision) == (step, found.revision)
    ended = demo.rollouts.advance(rollout, "one", LATER)
    assert ended is not None
    assert (ended.status, ended.ended_at, ended.reason) == ("completed", LATER, "All requests go to v2 (demo:2) 100 %.")
    assert demo.endpoints.get("demo").variants == (Variant("v2", "demo", 2),)


def test_several_variants_share_what_their_side_gets(demo: Store) -> None:
    """By their weights, also when it comes back."""
    demo.endpoints.put(
        replace(demo.endpoints.get("demo"), variants=(Variant("a", "demo", 1, 1), Variant("b", "demo", 1, 3))), NOW
    )
    rollout = demo.rollouts.start(
        "demo", Plan(variants=(Variant("c", "demo", 2, 2), Variant("", "demo", 2, 2)), share=0.2), NOW
    )
    demo.rollouts.claim(rollout, "one", NOW)
    demo.rollouts.advance(rollout, "one", NOW)
    assert {v.name: v.weight for v in demo.endpoints.get("demo").variants} == {"a": 20, "b": 60, "c": 10, "v2": 10}
    demo.rollouts.rollback("demo", NOW)
    assert {v.name: v.weight for v in demo.endpoints.get("demo").variants} == {"a": 1, "b": 3}


def test_weights_near_the_greatest_number_keep_their_ratio(demo: Store) -> None:
    """Only that counts."""
    huge = (Variant("a", "demo", 2, 1e308), Variant("b", "demo", 2, 5e307))
    rollout = demo.rollouts.start("demo", Plan(variants=huge, share=0.3), NOW)
    demo.rollouts.claim(rollout, "one", NOW)
    demo.rollouts.advance(rollout, "one", NOW)
    assert {v.name: v.weight for v in demo.endpoints.get("demo").variants} == {"main": 70, "a": 20, "b": 10}


def test_a_version_that_has_a_share_already_goes_on_from_there(demo: Store) -> None:
    """Under its name; a roll-out that was stopped can be begun again."""
    rollout = begin(demo, share=0.3)
    demo.rollouts.advance(rollout, "one", NOW)
    stopped = demo.rollouts.stop("demo", NOW)
    assert stopped.reason == ("Stopped by hand; the variants stay as they are: main (demo:1) 70 %, v2 (demo:2) 30 %.")
    again = begin(demo, share=0.5)
    assert again.before == (Variant("main", "demo", 1, 70), Variant("v2", "demo", 2, 30))
    assert to_the_end(demo, again).status == "completed"
    assert demo.endpoints.get("demo").variants == (Variant("v2", "demo", 2),)


def test_only_the_owner_acts(demo: Store) -> None:
    """As long as it renews its lease; afterwards who took it."""
    rollout = begin(demo)
    assert not demo.rollouts.claim(rollout, "two", NOW)
    assert demo.rollouts.advance(rollout, "two", NOW) is None
    assert demo.rollouts.take_back(rollout, "two", NOW, "harm") is None
    assert demo.rollouts.give_up(rollout, "two", NOW, "why") is None
    progress = RolloutProgress(NOW, 0.0, 1.0, 100.0)
    assert not demo.rollouts.report(rollout, "two", NOW, progress, None, "{}")
    assert demo.rollouts.claim(rollout, "two", LATER)
    assert demo.rollouts.advance(rollout, "one", LATER) is None
    demo.rollouts.release("two")
    assert demo.rollouts.claim(rollout, "three", LATER)


def test_a_step_is_done_once(demo: Store) -> None:
    """Who was slow, and believes that it is still to be done, does nothing."""
    rollout = begin(demo)
    assert demo.rollouts.advance(rollout, "one", NOW) is not None
    assert demo.rollouts.advance(rollout, "one", NOW) is None


def test_what_is_reported_is_kept_together(demo: Store) -> None:
    """How it fares, what was measured, and the evidence; and that the lease goes on."""
    rollout = begin(demo)
    progress, measured = RolloutProgress(LATER, 0.0, 1.5, 100.0), Measured(100, 4.5, (0.1,))
    assert demo.rollouts.report(rollout, "one", LATER, progress, measured, "evidence")
    demo.rollouts.tell(rollout, "one", LATER, "first")
    demo.rollouts.tell(rollout, "one", LATER, "second")
    found = demo.rollouts.get(rollout.id)
    assert (found.progress, found.measured) == (progress, measured)
    assert found.lease_until == LATER + timedelta(seconds=LEASE_S)
    assert [(t.server_id, t.body) for t in demo.rollouts.told(rollout)] == [("evidence", "evidence"), ("one", "second")]


def test_after_its_end_nothing_is_told(demo: Store) -> None:
    """Also not by a server that comes late."""
    rollout = begin(demo)
    demo.rollouts.tell(rollout, "one", NOW, "counts")
    demo.rollouts.take_back(rollout, "one", NOW, "harm")
    demo.rollouts.tell(rollout, "two", NOW, "late")
    assert demo.rollouts.told(rollout) == []


def test_what_is_no_change_leaves_it_alone_and_other_changes_wait(demo: Store) -> None:
    """Only other variants end it: whoever sets those wants to."""
    rollout = begin(demo)
    demo.rollouts.advance(rollout, "one", NOW)
    found = demo.endpoints.get("demo")
    assert demo.endpoints.put(found, LATER) == found
    with pytest.raises(ConflictError, match="A roll-out runs on endpoint 'demo', and other changes wait for its end"):
        demo.endpoints.put(replace(found, capture=CapturePolicy(share=0.5)), LATER)
    assert demo.endpoints.get("demo") == found
    running = demo.rollouts.get(rollout.id)
    assert (running.status, running.revision) == ("running", found.revision)


def test_one_that_was_stopped_is_taken_back_by_hand(demo: Store) -> None:
    """As long as the shares are as it has left them."""
    rollout = begin(demo, share=0.2)
    demo.rollouts.advance(rollout, "one", NOW)
    demo.rollouts.stop("demo", NOW)
    assert demo.rollouts.rollback("demo", LATER).status == "rolled back"
    assert demo.endpoints.get("demo").variants == rollout.before
    begin(demo, share=0.3)
    demo.rollouts.stop("demo", LATER)
    demo.endpoints.set_weights("demo", {"main": 5}, LATER)
    with pytest.raises(InputError, match="was changed by another after roll-out"):
        demo.rollouts.rollback("demo", LATER)


@pytest.mark.parametrize("do", ["advance", "take_back"])
def test_another_change_of_the_endpoint_stays(demo: Store, do: str) -> None:
    """The step is not done."""
    rollout = begin(demo)
    demo.endpoints.set_weights("demo", {"v2": 5}, NOW)
    with pytest.raises(ConflictError):
        demo.rollouts.advance(rollout, "one", NOW) if do == "advance" else demo.rollouts.take_back(
            rollout, "one", NOW, "harm"
        )
    with pytest.raises(InputError, match="was changed by another after roll-out"):
        demo.rollouts.rollback("demo", NOW)
    assert [variant.weight for variant in demo.endpoints.get("demo").variants] == [100, 5]
    assert demo.rollouts.get(rollout.id).status == "running"


def test_a_completed_one_is_taken_back_by_hand_and_the_one_before_after_it(demo: Store) -> None:
    """One after another, as they came."""
    portable.publish(demo, portable.classifier(0.7))
    first = to_the_end(demo, begin_of(demo, "demo:2"))
    second = to_the_end(demo, begin_of(demo, "demo:3"))
    for rollout, version in ((second, 2), (first, 1)):
        assert demo.rollouts.rollback("demo", LATER).id == rollout.id
        assert demo.endpoints.get("demo").version == version
    with pytest.raises(InputError, match="none has ended but those that were taken back"):
        demo.rollouts.rollback("demo", LATER)


def begin_of(store: Store, model: str) -> Rollout:
    """A roll-out of a version."""
    rollout = store.rollouts.start("demo", Plan(model), NOW)
    store.rollouts.claim(rollout, "one", NOW)
    return rollout


def test_what_was_deployed_after_a_roll_out_is_not_lost(demo: Store) -> None:
    """Nobody goes back over it unasked."""
    to_the_end(demo, begin(demo))
    demo.endpoints.deploy("demo", demo.models.get("demo:1"), NOW)
    with pytest.raises(InputError, match=r"was changed by another after roll-out .* serves main \(demo:1\) 100 %"):
        demo.rollouts.rollback("demo", NOW)


def test_they_are_listed_newest_first_page_by_page(demo: Store) -> None:
    """By endpoint and status."""
    made = []
    for at in range(3):
        rollout = demo.rollouts.start("demo", Plan("demo"), NOW + timedelta(seconds=at))
        made.append(rollout.id)
        demo.rollouts.stop("demo", NOW)
    assert [rollout.id for rollout in demo.rollouts.list(limit=2)] == made[:0:-1]
    assert [rollout.id for rollout in demo.rollouts.list(before=made[1])] == [made[0]]
    assert demo.rollouts.list(status="running") == demo.rollouts.list(endpoint="other") == []

"""A roll-out goes its way, and comes back where it does harm."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from storage import ConflictError, Store
from storage.records import CapturePolicy, Guard, Variant
from tests import portable
from tests.serving.rollouts.conftest import World, world

ERRORS = (Guard("errors"),)
ALL = (Guard("errors"), Guard("latency", floor=0.01), Guard("scores", floor=0.05))


def test_a_canary_gets_its_share_and_then_all(demo: World) -> None:
    """First nothing, while it is loaded."""
    demo.start(share=0.2, wait_s=5)
    assert demo.weights == {"main": 100, "v2": 0}
    assert demo.pass_time(2).step == 1
    assert demo.weights == {"main": 80, "v2": 20}
    assert demo.pass_time(10).status == "completed"
    assert demo.endpoint.variants == (Variant("v2", "demo", 2, 1.0),)
    assert demo.seen["v2"] / sum(demo.seen.values()) == pytest.approx(0.18, abs=0.05)


def test_a_linear_one_goes_step_by_step(demo: World) -> None:
    """30, 60, 90 % and all."""
    demo.start(strategy="linear", share=0.3, wait_s=2)
    seen = []
    while demo.pass_time(0.5).status == "running":
        seen.append((demo.rollout.step, demo.weights["v2"]))
    assert sorted(set(seen)) == [(0, 0), (1, 30), (2, 60), (3, 90)]
    assert demo.rollout.status == "completed"


def test_blue_green_gives_all_at_once_and_keeps_the_old(demo: World) -> None:
    """For the wait; what the old did is counted before."""
    demo.start(strategy="blue_green", wait_s=5)
    assert demo.pass_time(2).progress.waits_for.startswith("Watches the old variants")
    assert demo.pass_time(4).step == 1
    assert demo.weights == {"main": 0, "v2": 100}
    assert demo.pass_time(10).status == "completed"


@pytest.mark.parametrize("strategy", ["canary", "linear", "blue_green"])
def test_a_faulty_version_is_taken_back(demo: World, strategy: str) -> None:
    """Soon, and with figures."""
    demo.faults = {"main": 0.01, "v2": 0.15}
    demo.start(strategy=strategy, share=0.2, wait_s=60, guards=ERRORS)
    ended = demo.pass_time(60)
    assert ended.status == "rolled back"
    assert "Guard 'errors': of the new variants'" in ended.reason
    assert demo.endpoint.variants == (Variant("main", "demo", 1, 1.0),)
    assert (ended.ended_at - ended.created_at).total_seconds() < 30


@pytest.mark.parametrize("strategy", ["canary", "blue_green"])
def test_a_slow_version_is_taken_back(demo: World, strategy: str) -> None:
    """A tenth of whose answers take a second."""
    demo.slow = {"main": 0.01, "v2": 0.1}
    demo.start(strategy=strategy, share=0.2, wait_s=60, guards=ALL[1:2])
    ended = demo.pass_time(60)
    assert ended.status == "rolled back"
    assert "took longer than" in ended.reason


@pytest.mark.parametrize("strategy", ["canary", "blue_green"])
def test_a_version_that_answers_otherwise_is_taken_back(demo: World, strategy: str) -> None:
    """If one asks for that."""
    portable.publish(demo.store, portable.classifier(1.5))
    demo.start(strategy=strategy, share=0.2, wait_s=60, guards=ALL)
    ended = demo.pass_time(60)
    assert ended.status == "rolled back"
    assert "got an answer above" in ended.reason


def test_the_answers_of_a_regressor_are_compared_by_value(store: Store) -> None:
    """A constant more."""
    portable.publish(store, portable.regressor(), endpoint="demo")
    portable.publish(store, portable.regressor(-3.0))
    with world(store, "one") as demo:
        demo.start(share=0.3, wait_s=60, guards=ALL)
        assert demo.pass_time(30).status == "rolled back"


def test_the_same_version_is_not_taken_back(demo: World) -> None:
    """With all guards; faults and slow answers are as frequent."""
    demo.faults, demo.slow = {"main": 0.05, "v2": 0.05}, {"main": 0.05, "v2": 0.05}
    demo.start(share=0.3, wait_s=30, guards=ALL)
    assert demo.pass_time(60).status == "completed"


def test_a_share_of_faults_below_the_floor_is_let_pass(demo: World) -> None:
    """2 % are asked to be."""
    demo.faults = {"main": 0.01, "v2": 0.025}
    demo.start(share=0.5, wait_s=30, guards=(Guard("errors", floor=0.02),))
    assert demo.pass_time(60).status == "completed"


def test_without_traffic_it_waits_and_says_so(demo: World) -> None:
    """Before the old are measured, and before the new have answered enough."""
    demo.start(wait_s=1)
    assert "0 of 100 requests of the old variants" in demo.pass_time(5, rate=0).progress.waits_for
    demo.pass_time(2)
    waits = demo.pass_time(60, rate=0)
    assert (waits.status, waits.step) == ("running", 1)
    assert "of 30 requests" in waits.progress.waits_for


def test_a_few_requests_decide_nothing(demo: World) -> None:
    """Even if all fail."""
    demo.faults = {"v2": 1.0}
    demo.start(share=0.1, wait_s=0, minimum=50, guards=ERRORS)
    demo.pass_time(1, rate=0)
    while demo.rollout.status == "running":
        assert demo.seen.get("v2", 0) < 65
        demo.pass_time(0.5)
    assert demo.rollout.status == "rolled back"
    assert demo.seen["v2"] >= 50


def test_a_version_that_cannot_be_loaded_is_taken_back_before_anybody_asks_it(demo: World) -> None:
    """Its file is not what it was."""
    version = demo.store.models.get("demo:2")
    broken = portable.publish(demo.store, portable.classifier(0.5))
    path = next((demo.store.root / "blobs").rglob(broken.digest))
    path.chmod(0o600)
    path.write_bytes(demo.store.models.read_file(version)[:-9])
    demo.start()
    ended = demo.pass_time(5)
    assert ended.status == "rolled back"
    assert "could not load the new variants" in ended.reason
    assert "v3" not in demo.seen


def test_it_stops_where_another_changes_the_endpoint(demo: World) -> None:
    """Whose change stays."""
    demo.start(share=0.2, wait_s=60)
    demo.pass_time(3)
    demo.store.endpoints.set_weights("demo", {"v2": 50}, demo.now)
    ended = demo.pass_time(3)
    assert ended.status == "stopped"
    assert ended.reason == (
        "Stopped in step 1, where the new variants had got 20 %: another gave the endpoint other variants or weights, "
        "main (demo:1) 61.5 %, v2 (demo:2) 38.5 %."
    )
    assert demo.weights == {"main": 80, "v2": 50}


def test_a_change_of_nothing_does_not_stop_it(demo: World) -> None:
    """It goes on to the end; a change of what is captured is refused, and it goes on too."""
    demo.start(share=0.2, wait_s=5)
    demo.pass_time(3)
    demo.store.endpoints.put(demo.endpoint, demo.now)
    demo.store.endpoints.set_weights("demo", {"v2": 20}, demo.now)
    with pytest.raises(ConflictError, match="A roll-out runs on endpoint 'demo'"):
        demo.store.endpoints.put(replace(demo.endpoint, capture=CapturePolicy(share=0.5)), demo.now)
    assert demo.pass_time(20).status == "completed"


def test_it_stops_where_the_endpoint_is_deleted(demo: World) -> None:
    """Nothing is left to do."""
    demo.start()
    demo.store.endpoints.delete("demo", demo.now)
    demo.processes[0].look(demo.now)
    assert (demo.rollout.status, demo.rollout.reason) == ("stopped", "The endpoint was deleted.")


def test_by_hand_it_is_taken_back_at_once(demo: World) -> None:
    """And the controller lets it be."""
    demo.start(share=0.2, wait_s=60)
    demo.pass_time(3)
    demo.store.rollouts.rollback("demo", demo.now)
    assert demo.weights == {"main": 1}
    demo.processes[0].look(demo.now)
    assert demo.rollout.reason == "Taken back by hand."


def test_after_it_has_ended_answers_are_watched_no_more(demo: World) -> None:
    """Nor before it began."""
    assert demo.processes[0].live.find("demo").watchers == ()
    demo.start(share=0.2, wait_s=2)
    demo.pass_time(2)
    assert len(demo.processes[0].live.find("demo", "x").watchers) == 1
    demo.pass_time(20)
    demo.processes[0].look(demo.now)
    assert demo.processes[0].live.find("demo").watchers == ()
    assert demo.store.rollouts.told(demo.rollout) == []


def test_another_process_takes_over_from_one_that_died(store: Store) -> None:
    """With the evidence so far, and with what the dead one had counted; a second owner never acts beside the first."""
    portable.publish(store, portable.classifier(), endpoint="demo")
    portable.publish(store, portable.classifier())
    with world(store, "one", "two") as both:
        both.start(share=0.3, wait_s=20)
        owner = both.pass_time(4).owner
        assert owner == "one"
        before = both.rollout.progress
        both.processes = [process for process in both.processes if process.name != owner]
        assert both.pass_time(1).owner == "one"
        after = both.pass_time(4)
        assert after.owner == "two"
        assert after.progress.guards[0].new_requests > before.guards[0].new_requests
        both.now += timedelta(seconds=10)  # the dead one is forgotten
        assert both.pass_time(30).status == "completed"


def test_what_all_processes_have_counted_is_judged_together(store: Store) -> None:
    """None of them alone has seen enough."""
    portable.publish(store, portable.classifier(), endpoint="demo")
    portable.publish(store, portable.classifier())
    with world(store, "one", "two", "three") as many:
        many.faults = {"v2": 0.2}
        many.start(share=0.1, wait_s=60, guards=ERRORS)
        ended = many.pass_time(60, rate=60)
        assert ended.status == "rolled back"
        assert ended.progress.guards[0].new_requests <= many.seen["v2"]
        assert ended.progress.guards[0].new_requests > many.seen["v2"] / 2

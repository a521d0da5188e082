"""What servers have counted becomes evidence once, whoever looks, whenever and in whatever order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from serving.rollouts.counts import Counted, Counts, Sides
from serving.rollouts.evidence import Evidence, decoded, encoded
from storage.records import Guard, Measured, Rollout, Variant
from tests.records import NOW

GUARDS = (Guard("errors"), Guard("latency", floor=0.01), Guard("scores", floor=0.05))
ROLLOUT = Rollout(
    id="r1",
    endpoint="demo",
    status="running",
    strategy="canary",
    share=0.1,
    wait_s=60,
    alpha=0.01,
    guards=GUARDS,
    before=(Variant("main", "demo", 1),),
    after=(Variant("v2", "demo", 2),),
    step=1,
    step_at=NOW,
    created_at=NOW,
    revision=3,
)
MEASURED = Measured(100, 5.0, cuts=(0.2, 0.5))


def counts(replies: int, faults: int, *cells: int) -> Counts:
    """Of one side."""
    return Counts(replies, faults, list(cells))


def told(old: Counts, new: Counts, revision: int = 3) -> Counted:
    """By one server at one revision."""
    return Counted({revision: Sides(old, new)})


def looked(*looks: dict[str, Counted], rollout: Rollout = ROLLOUT) -> Evidence:
    """The evidence after some looks, each by another process."""
    evidence = Evidence(rollout, MEASURED)
    for counted in looks:
        evidence = Evidence(rollout, MEASURED, decoded(encoded(evidence.state)))
        evidence.look(counted)
    return evidence


def test_faults_of_the_new_are_evidence() -> None:
    """Five of fifty, and none of the old."""
    evidence = looked({"one": told(counts(450, 0), counts(50, 5))})
    assert evidence.is_harm
    assert evidence.reason() == (
        "Guard 'errors': of the new variants' 50 requests 10 % failed, of the old ones' 450 0 %. "
        "Without harm, less than 1 % of roll-outs come to that."
    )


def test_faults_of_the_old_are_not() -> None:
    """Nor that the new answer sooner."""
    evidence = looked({"one": told(counts(450, 40, 100, 100, 100, 50, 50, 50), counts(50, 0, 20, 15, 15, 0, 0, 0))})
    assert evidence.value < 1


def test_slow_answers_of_the_new_are_evidence() -> None:
    """The second half of the cells."""
    evidence = looked({"one": told(counts(450, 0, 150, 150, 140, 5, 5, 0), counts(50, 0, 12, 13, 10, 5, 5, 5))})
    assert evidence.is_harm
    assert "30 % took longer than 5 ms, of the old ones' 450 2.22 %" in evidence.reason()


@pytest.mark.parametrize(
    ("cells", "words"), [((200, 200, 500), "above 0.5"), ((500, 200, 200), "above 0.2")], ids=["more", "fewer"]
)
def test_other_scores_are_evidence(cells: tuple[int, int, int], words: str) -> None:
    """Greater ones and smaller ones."""
    evidence = looked({"one": told(counts(900, 0, 300, 300, 300, 0, 0, 0), counts(900, 0, *cells, 0, 0, 0))})
    assert evidence.is_harm
    assert words in evidence.reason()


def test_what_is_told_again_counts_once() -> None:
    """And what is told in pieces counts whole."""
    half, whole = told(counts(200, 1), counts(30, 2)), told(counts(400, 2), counts(60, 3))
    evidence = looked({"one": half}, {"one": half}, {"one": whole}, {"one": whole})
    assert evidence.state.total == Sides(counts(400, 2), counts(60, 3))
    assert evidence.state.bets["errors"][0].looks == 2


@given(st.permutations(["one", "two", "three"]))
def test_the_order_of_servers_does_not_matter(names: list[str]) -> None:
    """To the last bit, handicaps included."""
    random = np.random.default_rng(1)
    all_told = {
        name: told(
            counts(100, 2, *random.integers(5, 30, 6).tolist()), counts(20, 1, *random.integers(1, 9, 6).tolist())
        )
        for name in ("one", "two", "three")
    }
    assert looked({name: all_told[name] for name in names}).value == looked(all_told).value


def test_a_server_that_fails_and_sends_more_to_the_new_is_no_harm() -> None:
    """Simpson's paradox: each server's variants fail alike, the sums differ much."""
    evidence = looked({"good": told(counts(900, 0), counts(100, 0)), "bad": told(counts(100, 50), counts(900, 450))})
    assert evidence.state.total == Sides(counts(1000, 50), counts(1000, 450))
    assert evidence.value < 1


def test_steps_are_compared_apart() -> None:
    """An outage in the last step, when the new had most of the requests."""
    steps = {2: Sides(counts(900, 0), counts(100, 0)), 3: Sides(counts(100, 50), counts(900, 450))}
    assert looked({"one": Counted(steps)}).value < 1


def test_a_few_requests_wait_for_more() -> None:
    """And for both sides."""
    few, one_sided = told(counts(8, 0), counts(1, 1)), told(counts(500, 3), counts(0, 0))
    assert looked({"one": few}, {"two": one_sided}).state.total == Sides()


def test_blue_green_is_held_to_what_was_before() -> None:
    """With half of alpha, and a bound for the share of before."""
    rollout = replace(ROLLOUT, strategy="blue_green", guards=GUARDS[:1], step=0, revision=2)
    before = told(counts(1000, 10), counts(0, 0), revision=2)
    evidence = looked({"one": before}, rollout=rollout)
    assert (evidence.needed, evidence.state.before) == (200, None)
    rollout = replace(rollout, step=1, revision=3)
    for faults, is_harm in ((10, False), (100, True)):
        counted = Counted({**before.revisions, 3: Sides(counts(5, 5), counts(1000, faults))})
        evidence = looked({"one": counted}, {"one": counted}, rollout=rollout)
        assert evidence.is_harm == is_harm
        assert evidence.state.total.new.replies == 1000
    assert "of the old ones' 1,000 before 1 %" in evidence.reason()


def test_without_a_measure_only_errors_are_judged() -> None:
    """The others say nothing yet."""
    evidence = Evidence(ROLLOUT, None)
    evidence.look({"one": told(counts(450, 0), counts(50, 9))})
    assert [guard.question for guard in evidence.progress()] == ["failed", "", ""]
    assert evidence.is_harm

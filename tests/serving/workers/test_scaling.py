"""Decisions about workers, lived through with a clock of their own."""

from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.workers.bounds import Bounds
from serving.workers.messages import Report
from serving.workers.scaling import Scaling, surplus

STEP_S = 0.5
START_STEPS = 3
works = st.floats(0.0, 12.0)
bounds = st.tuples(st.integers(1, 8), st.integers(0, 8)).map(lambda two: Bounds(two[0], two[0] + two[1]))


class World:
    """Workers that share work evenly and take a while to start. work: in workers that it keeps wholly busy."""

    def __init__(self, bounds: Bounds) -> None:
        self.now = 0.0
        self.scaling = Scaling(bounds)
        self.ready = bounds.least
        self.starting: list[int] = []
        self.history: list[int] = []

    def live(self, work: float, seconds: float) -> "World":
        """Let time pass."""
        for _ in range(int(seconds / STEP_S)):
            self.now += STEP_S
            self.starting = [steps - 1 for steps in self.starting]
            self.ready += sum(steps <= 0 for steps in self.starting)
            self.starting = [steps for steps in self.starting if steps > 0]
            wanted = self.scaling.wanted([min(1.0, work / self.ready)] * self.ready, self.now)
            self.starting += [START_STEPS] * (wanted - self.ready - len(self.starting))
            self.ready = min(self.ready, wanted)
            self.history.append(wanted)
        return self


@given(bounds=bounds, work=works)
def test_a_steady_load_gets_what_it_needs_and_then_nothing_changes(bounds: Bounds, work: float) -> None:
    """Workers only ever increase, to where they are at most 70 % busy, or to the bound."""
    history = World(bounds).live(work, 900).history
    assert history == sorted(history)
    assert history[-1] == bounds.most or work <= 0.7 * history[-1] + 1e-9
    assert history[-1] == bounds.least or work > 0.7 * bounds.least - 1e-9
    assert set(history[120:]) == {history[-1]}


@given(bounds=bounds, work=works)
def test_when_the_load_goes_they_go_one_by_one_after_minutes(bounds: Bounds, work: float) -> None:
    """To the least, each after two minutes of its own."""
    world = World(bounds).live(work, 600)
    before = world.history[-1]
    world.history.clear()
    world.live(0.0, 119)
    assert set(world.history) == {before}
    world.live(0.0, 2200)
    assert world.history[-1] == bounds.least
    assert all(one - other in (0, 1) for one, other in pairwise(world.history))


@given(bounds=bounds, steps=st.lists(st.tuples(works, st.floats(1, 400)), max_size=20))
def test_the_bounds_hold_whatever_the_load(bounds: Bounds, steps: list[tuple[float, float]]) -> None:
    """And nobody leaves within two minutes of another's coming: bursts do not make them come and go."""
    world = World(bounds)
    for work, seconds in steps:
        world.live(work, seconds)
    history = world.history
    assert all(bounds.least <= workers <= bounds.most for workers in history)
    came = None
    for at, (one, other) in enumerate(pairwise(history)):
        came = at if other > one else came
        assert other >= one or came is None or (at - came) * STEP_S >= 119


def test_full_load_is_seen_within_two_seconds_and_doubles_them() -> None:
    """From one to two, or from four to seven: as many as would be 60 % busy."""
    assert World(Bounds(1, 8)).live(1.0, 2).history[-1] == 2
    assert World(Bounds(4, 8)).live(4.0, 2).history[-1] == ceil(4 / 0.6)


def test_a_moment_of_load_starts_nothing() -> None:
    """Nor many of them."""
    world = World(Bounds(1, 8))
    for _ in range(100):
        world.live(1.0, 0.5).live(0.2, 0.5)
    assert set(world.history) == {1}


@given(st.lists(st.builds(Report, st.floats(0, 1), st.integers(0, 10_000)), max_size=8))
def test_only_who_is_busier_than_others_lets_connections_go_and_keeps_some(reports: list[Report]) -> None:
    """The least busy one never does."""
    going = surplus(reports)
    average = sum(report.busy for report in reports) / max(len(reports), 1)
    for report, connections in zip(reports, going, strict=True):
        assert 0 <= connections <= report.connections
        assert not connections or report.busy > max(0.7, average + 0.2)
        assert not connections or connections < report.connections


@pytest.mark.parametrize(
    ("reports", "going"),
    [
        ([], []),
        ([Report(1.0, 16)], [0]),
        ([Report(1.0, 16), Report(1.0, 16)], [0, 0]),
        ([Report(1.0, 16), Report(0.0, 0)], [8, 0]),
        ([Report(1.0, 8), Report(1.0, 8), Report(0.0, 0)], [2, 2, 0]),
        ([Report(1.0, 1), Report(0.0, 0)], [0, 0]),
        ([Report(0.6, 16), Report(0.0, 0)], [0, 0]),
    ],
)
def test_connections_go_in_proportion_to_the_work(reports: list[Report], going: list[int]) -> None:
    """Where nobody has too much to do, nothing moves."""
    assert surplus(reports) == going

"""Metrics of several workers are those of one server."""

from hypothesis import given
from hypothesis import strategies as st

from serving.workers.totals import Ended, Family, Sample, State, merged

HOUR_S = 3600.0
counts = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 2**40), max_size=3)


def counted(values: dict[str, int]) -> State:
    """A counter by endpoint, and a gauge."""
    samples = tuple(Sample("rows_total", (("endpoint", name), ("model", "m")), float(n)) for name, n in values.items())
    gauge = Family("wait", "Wait.", "gauge", "max", lasts=False, samples=(Sample("wait", (), float(len(values))),))
    return (Family("rows", "Rows.", "counter", "sum", lasts=True, samples=samples), gauge)


def rows_of(state: State) -> dict[str, float]:
    """The counter by endpoint."""
    return {dict(s.labels)["endpoint"]: s.value for family in state if family.name == "rows" for s in family.samples}


@given(st.lists(counts, max_size=5))
def test_counters_are_summed_exactly_and_of_gauges_the_greatest_is_told(workers: list[dict[str, int]]) -> None:
    """Whoever has a series, and in whatever order."""
    state = merged(counted(values) for values in workers)
    names = {name for values in workers for name in values}
    assert rows_of(state) == {name: sum(values.get(name, 0) for values in workers) for name in names}
    waits = [sample.value for family in state if family.name == "wait" for sample in family.samples]
    assert waits == ([max(len(values) for values in workers)] if workers else [])


@given(st.lists(counts, min_size=1, max_size=5))
def test_a_familys_samples_stay_together(workers: list[dict[str, int]]) -> None:
    """As the text formats want it: each family once, each series once."""
    state = merged(counted(values) for values in workers)
    assert [family.name for family in state] == ["rows", "wait"]
    series = [(sample.name, sample.labels) for family in state for sample in family.samples]
    assert len(series) == len(set(series))


@given(st.lists(counts, min_size=1, max_size=5), st.integers(0, 5))
def test_what_is_told_never_goes_down_when_workers_end(workers: list[dict[str, int]], ending: int) -> None:
    """Their gauges go with them."""
    before = rows_of(merged(counted(values) for values in workers))
    ended = Ended()
    for values in workers[:ending]:
        ended.add(counted(values))
    living = [counted(values) for values in workers[ending:]]
    told = ended.told(living, 0.0)
    assert rows_of(merged([*living, told])) == before
    assert all(family.name == "rows" for family in told)


def test_versions_that_nobody_knows_any_more_are_forgotten_after_an_hour() -> None:
    """Those that some worker still knows are not, and what is of no version never is."""
    ended = Ended()
    ended.add(counted({"a": 1, "b": 2}))
    ended.add((Family("lost", "Lost.", "counter", "sum", lasts=True, samples=(Sample("lost_total", (), 3.0),)),))
    living = [counted({"a": 0})]
    assert rows_of(ended.told(living, 0.0)) == {"a": 1, "b": 2}
    assert rows_of(ended.told(living, HOUR_S - 1)) == {"a": 1, "b": 2}
    assert rows_of(ended.told(living, HOUR_S + 1)) == {"a": 1}
    assert [family.name for family in ended.told(living, 9 * HOUR_S)] == ["rows", "lost"]

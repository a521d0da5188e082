"""Counts stay as long as somebody may ask for them, and no longer."""

from serving.metrics import Key, Metrics


def test_a_version_that_is_served_again_goes_on_counting() -> None:
    """Where it is deployed anew, and where it comes back within the hour."""
    metrics = Metrics()
    metrics.of("demo", "m", 1).rows = 7
    metrics.keep(set(), {"demo"}, now=0.0)
    metrics.keep(set(), {"demo"}, now=3599.0)
    assert metrics.of("demo", "m", 1).rows == 7
    metrics.keep({Key("demo", "m", 1)}, {"demo"}, now=3599.5)
    metrics.keep(set(), {"demo"}, now=5000.0)  # it left again: another hour begins
    assert metrics.of("demo", "m", 1).rows == 7


def test_a_version_that_left_is_dropped_after_an_hour() -> None:
    """The one that is served stays."""
    metrics = Metrics()
    metrics.of("demo", "m", 1)
    metrics.of("demo", "m", 2)
    for now in (0.0, 3600.0):
        metrics.keep({Key("demo", "m", 2)}, {"demo"}, now)
    assert list(metrics.endpoints) == [("demo", "m", 2, "main")]


def test_of_many_that_left_the_last_hundred_are_kept() -> None:
    """Whoever deploys each second does not fill the memory."""
    metrics = Metrics()
    for version in range(300):
        live = {Key("demo", "m", version)}
        metrics.of("demo", "m", version)
        metrics.keep(live, {"demo"}, now=float(version))
    assert [key.version for key in metrics.endpoints] == list(range(199, 300))


def test_loads_of_an_endpoint_that_the_store_no_longer_has_are_dropped() -> None:
    """Those of others are not."""
    metrics = Metrics()
    metrics.loads_of("a").loaded += 1
    metrics.loads_of("b").failed += 1
    metrics.keep(set(), {"a"}, now=0.0)
    assert list(metrics.loads) == ["a"]
    assert metrics.loads_of("a").loaded == 1

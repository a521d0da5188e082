"""One server for all tests of the control plane; each changes what is its own."""

from collections.abc import Iterator
from itertools import count

import pytest

from storage import Store
from tests import portable
from tests.records import NOW, run, trial
from tests.serving.conftest import ServerProcess, serving

NUMBERS = count()


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with `classifier:1` and `:2`, of which `paid` serves the first, `regressor:1` as `price`, and a run."""
    store = Store.open(tmp_path_factory.mktemp("control") / "store")
    portable.publish(store, portable.classifier(), name="classifier", endpoint="paid", now=NOW)
    portable.publish(store, portable.classifier(shift=1.0), name="classifier", now=NOW)
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price", now=NOW)
    store.runs.start(run("searched", experiment="search"))
    for number in range(3):
        store.runs.add_trial(trial(number, run_id="searched"))
    yield store
    store.close()


@pytest.fixture(scope="package")
def server(store: Store) -> Iterator[ServerProcess]:
    """A server over it. Nothing changes `paid`, `price` and their models."""
    with serving(store) as server:
        yield server
        assert "was answered with 500" not in server.log


@pytest.fixture
def endpoint(store: Store) -> str:
    """An endpoint of the test's own, that serves `classifier:1`."""
    return store.endpoints.deploy(f"endpoint{next(NUMBERS)}", store.models.get("classifier:1"), NOW).name


@pytest.fixture
def model(store: Store) -> str:
    """A model of the test's own, with two versions."""
    name = f"model{next(NUMBERS)}"
    for shift in (0.0, 1.0):
        portable.publish(store, portable.classifier(shift), name=name, now=NOW)
    return name

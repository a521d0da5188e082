"""The option `explain` gives what `autopilot explain` gives, and costs nothing where nobody asks."""

import numpy as np
import pytest

from serving.endpoints import LiveEndpoints, LiveVariant
from serving.errors import OptionError
from storage import Store
from storage.boundary import blocks_of_rows
from storage.explain import explainer_of
from tests.portable import ROWS, classifier, publish
from tests.serving.conftest import ServerProcess


@pytest.fixture
def endpoint(store: Store) -> LiveVariant:
    publish(store, classifier(), endpoint="demo")
    live = LiveEndpoints(store)
    live.refresh()
    return live.find("demo")


def goes_on() -> None:
    """Nobody has left."""


def test_contributions_are_those_of_the_version(store: Store, endpoint: LiveVariant) -> None:
    """To the bit, whether rows come alone or together."""
    blocks = blocks_of_rows(endpoint.signature, ROWS)
    assert endpoint.explaining is not None
    explained = endpoint.explaining.explain(blocks, goes_on)
    found = explainer_of(store, store.models.get("demo:1")).explain_blocks(blocks)
    assert explained.of == ("yes",) * 4
    np.testing.assert_array_equal(explained.contributions, found.values)
    share = endpoint.predictor.run(blocks).probabilities
    assert share is not None
    np.testing.assert_allclose(explained.base + explained.contributions.sum(axis=1), share[:, 1], atol=1e-6)


def test_more_rows_than_anybody_waits_for_are_refused(endpoint: LiveVariant) -> None:
    """With the command that explains a file."""
    assert endpoint.explaining is not None
    with pytest.raises(OptionError, match=r"101 rows; 100 are explained at once.*autopilot explain"):
        endpoint.explaining.explain(blocks_of_rows(endpoint.signature, [ROWS[0]] * 101), goes_on)


def test_work_ends_when_nobody_waits(endpoint: LiveVariant) -> None:
    """It is looked for before each row."""

    def gone() -> None:
        raise TimeoutError

    assert endpoint.explaining is not None
    with pytest.raises(TimeoutError):
        endpoint.explaining.explain(blocks_of_rows(endpoint.signature, ROWS), gone)


def test_an_answer_tells_what_each_column_added(server: ServerProcess) -> None:
    """Over the wire, in JSON and flat."""
    reply = server.client.post("/endpoints/paid/invocations?explain=true", json=ROWS[0])
    entry = reply.json()["predictions"][0]
    explanation = entry["explanation"]
    assert explanation["of"] == "yes"
    total = explanation["base"] + sum(explanation["contributions"].values())
    assert total == pytest.approx(entry["probabilities"]["yes"], abs=1e-6)
    query = "explain=true&columns=of,contribution_town"
    flat = server.client.post(f"/endpoints/paid/invocations?{query}", json=ROWS[0]).json()["predictions"][0]
    assert flat == {"of": "yes", "contribution_town": explanation["contributions"]["town"]}

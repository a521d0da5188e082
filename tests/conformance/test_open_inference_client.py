"""The Open Inference Protocol's generated client, unmodified, against a server process."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from storage import Store
from tests.portable import PROBABILITIES, SCORES, classifier, publish, regressor
from tests.serving.conftest import serving


@pytest.fixture(scope="module")
def api() -> Any:
    """The package; it stands on Pydantic's first version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("open_inference.openapi.client")
        import open_inference.openapi as api
    return api


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = Store.open(tmp_path_factory.mktemp("oip") / "store")
    publish(store, classifier(), name="classifier", endpoint="paid")
    publish(store, regressor(), name="regressor", endpoint="price")
    with serving(store) as server:
        yield server.url
    store.close()


@pytest.fixture
def client(api: Any, url: str) -> Iterator[Any]:
    from open_inference.openapi.client import OpenInferenceClient

    client = OpenInferenceClient(base_url=url)
    yield client
    client._client_wrapper.httpx_client.close()


def request(api: Any, **more: Any) -> Any:
    """The rows of tests/portable.py. The client makes floats of whole numbers, and has neither null nor NaN: an empty
    text is a missing number."""
    cells = {
        "amount": ("BYTES", [4, 1, "", 9]),
        "town": ("BYTES", ["Ulm", "Bonn", "Rome", ""]),
        "visits": ("BYTES", [2, 0, 3, ""]),
        "seen": ("INT64", [1_682_899_200_000_000, 1_704_067_200_000_000, -(2**63), 1_767_225_599_500_000]),
    }
    inputs = [
        api.RequestInput(name=name, shape=[4, 1], datatype=datatype, data=api.TensorData(__root__=data))
        for name, (datatype, data) in cells.items()
    ]
    return api.InferenceRequest(inputs=inputs, **more)


def test_it_finds_the_server_and_its_models(client: Any) -> None:
    """Health and metadata, with and without a version."""
    client.check_server_liveness()
    client.check_server_readiness()
    client.check_model_readiness("paid")
    client.check_model_version_readiness("paid", "1")
    assert client.read_server_metadata().name == "autopilot"
    told = client.read_model_version_metadata("paid", "1")
    assert told == client.read_model_metadata("paid")
    assert [tensor.name for tensor in told.inputs] == ["amount", "town", "visits", "seen"]


def test_it_predicts(api: Any, client: Any) -> None:
    """Classes and values."""
    told = client.model_infer("paid", request=request(api, id="42"))
    assert told.id == "42"
    label, shares = told.outputs
    assert label.data.__root__ == ["yes", "yes", "no", "yes"]
    assert shares.data.__root__[1::2] == pytest.approx(PROBABILITIES)
    (prediction,) = client.model_version_infer("price", "1", request=request(api)).outputs
    assert prediction.data.__root__ == list(SCORES)


def test_it_is_told_errors(api: Any, client: Any) -> None:
    """By the errors that it has for them."""
    wanted = [api.RequestOutput(name="nothing")]
    with pytest.raises(api.BadRequestError) as caught:
        client.model_infer("paid", request=request(api, outputs=wanted))
    assert "The model has no output 'nothing'" in caught.value.body["error"]
    with pytest.raises(api.NotFoundError):
        client.check_model_readiness("nobody")

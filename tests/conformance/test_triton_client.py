"""Triton's own client, unmodified, against a server process: over gevent, and over aiohttp."""

import asyncio
import json
import re
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from storage import Store
from tests.portable import PROBABILITIES, ROWS, SCORES, classifier, publish, regressor, with_interval
from tests.serving.conftest import ROOT, serving

GUIDE = ROOT / "docs" / "inference-v2.md"
MISSING = -(2**63)
LABELS = ["yes", "yes", "no", "yes"]
SEEN_US = [1_682_899_200_000_000, 1_704_067_200_000_000, MISSING, 1_767_225_599_500_000]


def imported(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that it stands on
        return pytest.importorskip(name)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store.open(tmp_path_factory.mktemp("triton") / "store")
    publish(store, classifier(), name="classifier", endpoint="paid")
    publish(store, regressor(), name="regressor", endpoint="price")
    publish(store, with_interval(), name="sure", endpoint="sure")
    yield store
    store.close()


@pytest.fixture(scope="module")
def address(store: Store) -> Iterator[str]:
    """Host and port, as the clients want it."""
    with serving(store) as server:
        yield urlsplit(server.url).netloc


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    """Over gevent."""
    with imported("tritonclient.http").InferenceServerClient(address) as client:
        yield client


Asking = Callable[[Any], Awaitable[Any]]


@pytest.fixture
def ask_async(address: str) -> Callable[[Asking], Any]:
    """Asks over aiohttp, in an event loop of its own."""

    async def with_client(asking: Asking) -> Any:
        async with imported("tritonclient.http.aio").InferenceServerClient(address) as client:
            return await asking(client)

    return lambda asking: asyncio.run(with_client(asking))


def inputs(rows: int = 1, *, binary: bool = True, column: bool = True) -> list[Any]:
    """The rows of tests/portable.py so many times, as NumPy has them. column: with the shape [N,1], else [N]."""
    http = imported("tritonclient.http")
    cells = {
        "amount": ("FP64", np.array([row["amount"] for row in ROWS] * rows, np.float64)),
        "town": ("BYTES", np.array([(row["town"] or "").encode() for row in ROWS] * rows, np.object_)),
        "visits": ("FP32", np.array([row["visits"] for row in ROWS] * rows, np.float32)),
        "seen": ("INT64", np.array(SEEN_US * rows, np.int64)),
    }
    tensors = []
    for name, (datatype, array) in cells.items():
        array = array.reshape(-1, 1) if column else array
        tensor = http.InferInput(name, list(array.shape), datatype)
        tensors.append(tensor.set_data_from_numpy(array, binary_data=binary))
    return tensors


def wanted(*names: str, binary: bool = True) -> list[Any]:
    return [imported("tritonclient.http").InferRequestedOutput(name, binary_data=binary) for name in names]


def test_the_server_and_its_models_are_found(client: Any) -> None:
    """Health, metadata, configuration and the repository."""
    assert client.is_server_live()
    assert client.is_server_ready(query_params={"anything": "goes"})
    assert client.is_model_ready("paid")
    assert client.is_model_ready("paid", "1")
    assert not client.is_model_ready("nobody")
    assert not client.is_model_ready("paid", "2")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("paid", "1")
    assert [one["name"] for one in metadata["inputs"]] == ["amount", "town", "visits", "seen"]
    config = client.get_model_config("paid")
    assert config["max_batch_size"] == 0
    assert [one["name"] for one in config["output"]] == ["label", "probabilities"]
    index = client.get_model_repository_index()
    assert [(one["name"], one["version"], one["state"]) for one in index][:2] == [
        ("paid", "1", "READY"),
        ("price", "1", "READY"),
    ]


@pytest.mark.parametrize("in_binary", [True, False])
@pytest.mark.parametrize("out_binary", [True, False, None])
@pytest.mark.parametrize("column", [True, False])
def test_classes_are_predicted(client: Any, in_binary: bool, out_binary: bool | None, column: bool) -> None:
    """In binary and in JSON, on both ways; without outputs the client asks for all in binary."""
    outputs = None if out_binary is None else wanted("probabilities", "label", binary=out_binary)
    result = client.infer("paid", inputs(binary=in_binary, column=column), outputs=outputs, request_id="42")
    labels = result.as_numpy("label")
    assert [text.decode() if isinstance(text, bytes) else text for text in labels.tolist()] == LABELS
    shares = result.as_numpy("probabilities")
    assert (shares.dtype, shares.shape) == (np.float32, (4, 2))
    np.testing.assert_allclose(shares[:, 1], PROBABILITIES, rtol=1e-6)
    response = result.get_response()
    assert (response["model_name"], response["model_version"], response["id"]) == ("paid", "1", "42")


def test_values_are_predicted(client: Any) -> None:
    """To the bit; the interval by a parameter."""
    assert client.infer("price", inputs(), model_version="1").as_numpy("prediction").tolist() == [[s] for s in SCORES]
    result = client.infer("sure", inputs(), parameters={"interval": True})
    assert result.as_numpy("interval").tolist() == [[score - 1, score + 2] for score in SCORES]


def test_many_are_asked_at_once(address: str) -> None:
    """As the client's example of asynchronous requests does."""
    http = imported("tritonclient.http")
    with http.InferenceServerClient(address, concurrency=4) as client:
        asked = [client.async_infer("price", inputs()) for _ in range(20)]
        answers = [one.get_result().as_numpy("prediction").ravel().tolist() for one in asked]
    assert answers == [list(SCORES)] * 20


@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
@pytest.mark.parametrize("unpacked", [None, "gzip", "deflate"])
@pytest.mark.parametrize("rows", [1, 2_000])
def test_bodies_may_be_packed(client: Any, packed: str | None, unpacked: str | None, rows: int) -> None:
    """Small ones, and those that are answered in a thread."""
    result = client.infer(
        "price",
        inputs(rows),
        request_compression_algorithm=packed,
        response_compression_algorithm=unpacked,
    )
    assert result.as_numpy("prediction").ravel().tolist() == list(SCORES) * rows


def test_no_rows_are_predicted(client: Any) -> None:
    """Tensors without elements."""
    result = client.infer("paid", inputs(0))
    assert result.as_numpy("label").shape == (0,)
    assert result.as_numpy("probabilities").shape == (0, 2)


def test_sequences_and_priorities_do_no_harm(client: Any) -> None:
    """A timeout is the deadline, and this one is long."""
    result = client.infer("price", inputs(), sequence_id=7, sequence_start=True, priority=2, timeout=60_000_000)
    assert result.as_numpy("prediction").ravel().tolist() == list(SCORES)


def test_errors_are_told(client: Any) -> None:
    """In our words, which begin as the client's examples expect where these look."""
    http, error = imported("tritonclient.http"), imported("tritonclient.utils").InferenceServerException
    with pytest.raises(error, match=r"^\[404\] Request for unknown model: 'nobody'"):
        client.infer("nobody", inputs())
    with pytest.raises(error, match="Request for unknown model: 'paid' version 9"):
        client.get_model_metadata("paid", "9")
    with pytest.raises(error, match="The input 'seen' is missing"):
        client.infer("paid", inputs()[:3])
    with pytest.raises(error, match=r"The model has no output 'nothing'\. It has 'label'"):
        client.infer("paid", inputs(), outputs=wanted("nothing"))
    with pytest.raises(error, match="'classification', which is not followed"):
        client.infer("paid", inputs(), outputs=[http.InferRequestedOutput("probabilities", class_count=2)])
    wrong = http.InferInput("visits", [4], "BYTES").set_data_from_numpy(
        np.array([b"1", b"2", b"n/a", b"4"], np.object_)
    )
    with pytest.raises(
        error, match=r"inputs\[visits\]\[2\]: Column 'visits' was number in training; row 2 holds 'n/a'"
    ):
        client.infer("paid", [*inputs()[:2], wrong, inputs()[3]])
    with pytest.raises(error, match="\\[503\\]"):
        client.infer("price", inputs(), timeout=1)


def test_models_are_loaded_from_the_store(client: Any, store: Store) -> None:
    """At once, and not unloaded: other servers serve them too."""
    error = imported("tritonclient.utils").InferenceServerException
    publish(store, regressor(shift=1.0), name="regressor", endpoint="later")
    client.load_model("later")
    assert client.is_model_ready("later")
    version = client.get_model_metadata("later")["versions"][0]
    result = client.infer("later", inputs(), model_version=version)
    assert result.as_numpy("prediction").ravel().tolist() == [score + 1 for score in SCORES]
    with pytest.raises(error, match="failed to load 'wrong_model_name'"):
        client.load_model("wrong_model_name")
    with pytest.raises(error, match="failed to unload 'later'"):
        client.unload_model("later")


def test_statistics_are_counted(client: Any) -> None:
    """Rows, runs, and nanoseconds of each phase."""
    client.infer("price", inputs())
    (told,) = client.get_inference_statistics("price", "1")["model_stats"]
    assert told["inference_count"] >= len(ROWS)
    assert told["inference_stats"]["success"]["count"] >= 1
    assert told["inference_stats"]["compute_infer"]["ns"] > 0
    assert "paid" in {one["name"] for one in client.get_inference_statistics()["model_stats"]}


@pytest.mark.parametrize("binary", [True, False])
def test_the_async_client_predicts(ask_async: Callable[[Asking], Any], binary: bool) -> None:
    """aiohttp accepts packed answers unasked; large ones come so."""

    async def asking(client: Any) -> Any:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("price", "1")
        assert (await client.get_model_metadata("price"))["platform"] == "onnxruntime_onnx"
        assert (await client.get_model_config("price"))["max_batch_size"] == 0
        assert (await client.get_inference_statistics("price"))["model_stats"]
        assert (await client.get_model_repository_index())[0]["name"]
        small = await client.infer("price", inputs(binary=binary), outputs=wanted("prediction", binary=binary))
        large = await client.infer("price", inputs(2_000), response_compression_algorithm="gzip")
        unasked = await client.infer("price", inputs(2_000, binary=binary))
        return [one.as_numpy("prediction").ravel().tolist() for one in (small, large, unasked)]

    assert ask_async(asking) == [list(SCORES), list(SCORES) * 2_000, list(SCORES) * 2_000]


def test_the_async_client_is_told_errors(ask_async: Callable[[Asking], Any]) -> None:
    """In our words."""
    error = imported("tritonclient.utils").InferenceServerException

    async def asking(client: Any) -> Any:
        with pytest.raises(error, match="Request for unknown model: 'nobody'"):
            await client.infer("nobody", inputs())
        with pytest.raises(error, match="The input 'seen' is missing"):
            await client.infer("paid", inputs()[:3])

    ask_async(asking)


def test_the_guide_prints_what_it_says(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On the server's own address."""
    imported("tritonclient.http")
    (block,) = re.findall("```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    exec(block.replace("127.0.0.1:8080", address), {})  # noqa: S102 - our own guide
    assert capsys.readouterr().out.splitlines() == re.findall(r"print\(.*\)  # (.+)", block)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/octet-stream"])
def test_the_content_type_does_not_matter(address: str, content_type: str | None) -> None:
    """The client over gevent sends none; nor does the query string matter."""
    cells = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    datatypes = {"amount": "FP64", "town": "BYTES", "visits": "INT32", "seen": "BYTES"}
    told = [{"name": name, "shape": [4], "datatype": datatypes[name], "data": cells[name]} for name in cells]
    headers = {} if content_type is None else {"content-type": content_type}
    body = json.dumps({"inputs": told}).encode()
    reply = httpx.post(f"http://{address}/v2/models/price/infer?interval=a&b", content=body, headers=headers)
    assert reply.json()["outputs"][0]["data"] == list(SCORES)

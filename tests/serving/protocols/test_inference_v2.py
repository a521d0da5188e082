"""The Open Inference Protocol, asked in this process: each rule of it, and what is said where one is broken."""

import asyncio
import gzip
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.engine import Engine
from serving.errors import BodyTooLargeError
from serving.protocols.inference_v2 import InferenceV2
from serving.protocols.inference_v2.bodies import Bodies
from serving.requests import Request
from storage import Store
from tests.portable import PROBABILITIES, ROWS, SCORES, classifier, publish, regressor, with_interval, with_sets
from tests.serving.conftest import ROOT

DATATYPES = {"amount": "FP64", "town": "BYTES", "visits": "FP64", "seen": "BYTES"}
CELLS = {name: [row[name] for row in ROWS] for name in DATATYPES}


class Reply:
    """What was answered; `outputs` by name, decoded from JSON or binary."""

    def __init__(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        length = self.headers.get(b"inference-header-content-length")
        return json.loads(self.body if length is None else self.body[: int(length)])

    @property
    def error(self) -> str:
        return self.json["error"]

    @property
    def outputs(self) -> dict[str, list[Any]]:
        at = int(self.headers.get(b"inference-header-content-length", 0))
        found: dict[str, list[Any]] = {}
        for output in self.json["outputs"]:
            size = output.get("parameters", {}).get("binary_data_size")
            if size is None:
                found[output["name"]] = output["data"]
                assert len(output["data"]) == np.prod(output["shape"])
                continue
            raw, at = self.body[at : at + size], at + size
            found[output["name"]] = values_of(output["datatype"], raw)
        assert at in (0, len(self.body))
        return found


def values_of(datatype: str, raw: bytes) -> list[Any]:
    if datatype != "BYTES":
        codes = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "BOOL": "?"}
        return np.frombuffer(raw, codes[datatype]).tolist()
    texts, at = [], 0
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        texts.append(raw[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return texts


class Asker:
    """Asks the protocol without a server."""

    def __init__(self, protocol: InferenceV2, live: LiveEndpoints, runner: asyncio.Runner) -> None:
        self.protocol, self.live = protocol, live
        self._runner = runner

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[bytes, bytes] = MappingProxyType({})
    ) -> Reply:
        async def gone() -> None:
            await asyncio.Event().wait()

        request = Request(method, path, b"", headers, body, gone)
        reply = self._runner.run(self.protocol.answer(request))
        return Reply(reply.status, dict(reply.headers), reply.body)

    def get(self, path: str) -> Any:
        reply = self.ask("GET", path)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def infer(self, name: str, document: Any, tail: bytes | None = None, **headers: str) -> Reply:
        """tail: what follows the JSON in binary."""
        head = document if isinstance(document, bytes) else json.dumps(document).encode()
        sent = {key.replace("_", "-").encode(): value.encode() for key, value in headers.items()}
        if tail is not None:
            sent.setdefault(b"inference-header-content-length", str(len(head)).encode())
        return self.ask("POST", f"/v2/models/{name}/infer", head + (tail or b""), sent)


def tensor(name: str, data: list[Any], datatype: str | None = None, shape: list[int] | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "shape": [len(data)] if shape is None else shape,
        "datatype": datatype or DATATYPES[name],
        "data": data,
    }


def document(**more: Any) -> dict[str, Any]:
    """A request for all rows."""
    return {"inputs": [tensor(name, cells) for name, cells in CELLS.items()], **more}


def without(name: str, *instead: dict[str, Any]) -> dict[str, Any]:
    """The request with other tensors in the place of one."""
    return {"inputs": [one for one in document()["inputs"] if one["name"] != name] + list(instead)}


def in_binary(**more: Any) -> tuple[dict[str, Any], bytes]:
    """The same request with its tensors behind the JSON."""
    inputs, tail = [], b""
    for name, cells in CELLS.items():
        raw = bytes_of(DATATYPES[name], cells)
        shape, size = [len(cells), 1], {"binary_data_size": len(raw)}
        inputs.append({"name": name, "shape": shape, "datatype": DATATYPES[name], "parameters": size})
        tail += raw
    return {"inputs": inputs, **more}, tail


def bytes_of(datatype: str, cells: list[Any]) -> bytes:
    if datatype == "FP64":
        return np.array(cells, dtype="<f8").tobytes()
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in (cell or "" for cell in cells))


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """Endpoints `paid`, a classifier, and `price`, a regressor; `sets` and `sure` tell how sure they are."""
    store = Store.open(tmp_path_factory.mktemp("v2") / "store")
    publish(store, classifier(), name="classifier", endpoint="paid")
    publish(store, regressor(), name="regressor", endpoint="price")
    publish(store, with_interval(), name="sure", endpoint="sure")
    publish(store, with_sets(), name="sets", endpoint="sets")
    live = LiveEndpoints(store)
    live.refresh()
    engine = Engine(Capture(store.traffic), threads=1, max_body_bytes=1_000_000, max_rows=20_000)
    with engine, asyncio.Runner() as runner:
        yield Asker(InferenceV2(live, engine), live, runner)
    store.close()


# ------------------------------------------------------------------------------------------------------------ paths


def test_the_server_tells_of_itself(asker: Asker) -> None:
    """Name, version, and the extensions that clients look for."""
    told = asker.get("/v2")
    assert told["name"] == "autopilot"
    assert {"binary_tensor_data", "statistics", "model_repository", "model_configuration"} <= set(told["extensions"])
    assert asker.get("/v2/") == told
    assert asker.get("/v2/health/live") == {"live": True}
    assert asker.get("/v2/health/ready") == {"ready": True}
    assert asker.get("/v2/models") == {"models": ["paid", "price", "sets", "sure"]}


@pytest.mark.parametrize("path", ["/v2/models/paid", "/v2/models/paid/versions/1"])
def test_a_model_tells_of_itself(asker: Asker, path: str) -> None:
    """A tensor for each column, as in the portable file, and the usual outputs."""
    assert asker.get(f"{path}/ready") == {"name": "paid", "ready": True}
    assert asker.get(path) == {
        "name": "paid",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {"name": "amount", "datatype": "FP64", "shape": [-1, 1]},
            {"name": "town", "datatype": "BYTES", "shape": [-1, 1]},
            {"name": "visits", "datatype": "FP64", "shape": [-1, 1]},
            {"name": "seen", "datatype": "INT64", "shape": [-1, 1]},
        ],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
    }
    told = asker.get(f"{path}/config")
    assert told["max_batch_size"] == 0
    assert told["input"][1] == {"name": "town", "data_type": "TYPE_STRING", "dims": [-1, 1]}
    assert told["output"][1] == {"name": "probabilities", "data_type": "TYPE_FP32", "dims": [-1, 2]}


def test_statistics_count_rows_runs_and_times(asker: Asker) -> None:
    """In Triton's shape."""
    (before,) = asker.get("/v2/models/price/stats")["model_stats"]
    asker.infer("price", document())
    (after,) = asker.get("/v2/models/price/versions/1/stats")["model_stats"]
    assert after["inference_count"] - before["inference_count"] == len(ROWS)
    assert after["execution_count"] - before["execution_count"] == 1
    assert after["last_inference"] > 1_700_000_000_000
    for phase in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        one, two = before["inference_stats"][phase], after["inference_stats"][phase]
        assert two["count"] == one["count"] + 1
        assert two["ns"] > one["ns"] or phase == "queue"
    assert [one["name"] for one in asker.get("/v2/models/stats")["model_stats"]] == ["paid", "price", "sets", "sure"]


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/v2/models/nobody", 404, "Request for unknown model: 'nobody' is not found. Served are 'paid'"),
        ("POST", "/v2/models/nobody/infer", 404, "Request for unknown model: 'nobody'"),
        ("GET", "/v2/models/paid/versions/9/ready", 404, "Request for unknown model: 'paid' version 9 is not found."),
        ("GET", "/v2/models/paid/versions/1/nothing", 404, "There is nothing at"),
        ("GET", "/v2/systemsharedmemory/status", 404, "There is nothing at"),
        ("GET", "/v2x", 404, "There is nothing at"),
        ("POST", "/v2/models/paid", 405, "was asked by POST. Use GET or HEAD."),
        ("GET", "/v2/models/paid/infer", 405, "was asked by GET. Use POST."),
        ("POST", "/v2/repository/models/nobody/load", 404, "failed to load 'nobody'"),
        ("POST", "/v2/repository/models/nobody/unload", 404, "Request for unknown model: 'nobody'"),
        ("POST", "/v2/repository/models/paid/unload", 400, "failed to unload 'paid'"),
    ],
)
def test_what_is_not_there_is_told(asker: Asker, method: str, path: str, status: int, said: str) -> None:
    """With the beginnings of sentences that Triton's examples look for."""
    reply = asker.ask(method, path)
    assert reply.status == status
    assert said in reply.error


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}', b'{"ready": false}'])
def test_the_repository_lists_what_is_served(asker: Asker, body: bytes) -> None:
    """tritonclient sends an empty body."""
    told = asker.ask("POST", "/v2/repository/index", body).json
    assert told[0] == {"name": "paid", "version": "1", "state": "READY", "reason": ""}


def test_the_repository_lists_what_could_not_be_loaded(store: Store) -> None:
    """With the reason, unless models that are ready are asked for alone."""
    version = publish(store, regressor(), endpoint="price")
    (store.root / "blobs" / version.digest[:2] / version.digest).unlink()
    live = LiveEndpoints(store)
    live.refresh()
    with Engine(Capture(store.traffic), threads=1, max_body_bytes=9, max_rows=9) as engine, asyncio.Runner() as runner:
        asker = Asker(InferenceV2(live, engine), live, runner)
        (told,) = asker.ask("POST", "/v2/repository/index").json
        assert (told["name"], told["state"]) == ("price", "UNAVAILABLE")
        assert asker.ask("POST", "/v2/repository/index", b'{"ready": true}').json == []
        assert asker.ask("POST", "/v2/repository/models/price/load").status == 404


def test_loading_looks_into_the_store_at_once(store: Store) -> None:
    """Nobody waits for the next poll."""
    live = LiveEndpoints(store)
    with Engine(Capture(store.traffic), threads=1, max_body_bytes=9, max_rows=9) as engine, asyncio.Runner() as runner:
        asker = Asker(InferenceV2(live, engine), live, runner)
        publish(store, regressor(), endpoint="price")
        assert asker.ask("POST", "/v2/repository/models/price/load", b"{}").status == 200
        assert asker.get("/v2/models/price/ready")["ready"]
        reply = asker.ask("POST", "/v2/repository/models/price/load", b'{"parameters": {"config": "{}"}}')
        assert (reply.status, "'config'" in reply.error) == (400, True)


def test_a_model_file_can_be_unloaded(asker: Asker, tmp_path: Path) -> None:
    """It is this server's alone, unlike endpoints of the store."""
    (tmp_path / "model.onnx").write_bytes(regressor())
    asker.live.hold("file", tmp_path)
    assert asker.infer("file", document()).outputs["prediction"] == list(SCORES)
    assert asker.get("/v2/models/file")["versions"] == ["0"]
    assert asker.ask("POST", "/v2/repository/models/file/unload", b"{}").status == 200
    assert asker.ask("GET", "/v2/models/file/ready").status == 404


def test_a_body_that_was_not_read_is_refused_in_the_same_shape(asker: Asker) -> None:
    """As the server calls it when a body is too long."""
    reply = asker.protocol.refuse(BodyTooLargeError("too long"))
    assert (reply.status, reply.body) == (413, b'{"error":"too long"}')


# ---------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("path", ["/v2/models/paid/infer", "/v2/models/paid/versions/1/infer"])
def test_classes_are_answered(asker: Asker, path: str) -> None:
    """Label and probabilities, row after row."""
    told = asker.ask("POST", path, json.dumps(document(id="42")).encode())
    assert told.status == 200
    assert told.headers[b"content-type"] == b"application/json"
    assert told.headers[b"x-autopilot-model"] == b"classifier:1"
    label, shares = told.json["outputs"]
    assert told.json | {"outputs": None} == {"model_name": "paid", "model_version": "1", "id": "42", "outputs": None}
    assert label == {"name": "label", "shape": [4], "datatype": "BYTES", "data": ["yes", "yes", "no", "yes"]}
    assert (shares["name"], shares["shape"], shares["datatype"]) == ("probabilities", [4, 2], "FP32")
    assert shares["data"][1::2] == pytest.approx(PROBABILITIES)


def test_values_are_answered(asker: Asker) -> None:
    """The prediction alone; there is no id where none was sent."""
    told = asker.infer("price", document()).json
    assert told["outputs"] == [{"name": "prediction", "shape": [4, 1], "datatype": "FP64", "data": list(SCORES)}]
    assert "id" not in told


@pytest.mark.parametrize(
    ("model", "asked", "names"),
    [
        ("paid", {"parameters": {"probabilities": False}}, ["label"]),
        ("paid", {"outputs": [{"name": "probabilities"}, {"name": "label"}]}, ["probabilities", "label"]),
        ("sets", {"parameters": {"interval": True}}, ["label", "probabilities", "set"]),
        ("sets", {"outputs": [{"name": "set"}]}, ["set"]),
        ("sets", {"outputs": [{"name": "label"}], "parameters": {"interval": True}}, ["label", "set"]),
        ("sure", {"parameters": {"interval": "true"}}, ["prediction", "interval"]),
        ("sure", {"outputs": [{"name": "interval"}]}, ["interval"]),
        ("sure", {"outputs": []}, ["prediction"]),
    ],
)
def test_outputs_are_chosen(asker: Asker, model: str, asked: dict[str, Any], names: list[str]) -> None:
    """By name, in the order of the request, and by parameters."""
    assert list(asker.infer(model, document(**asked)).outputs) == names


def test_intervals_and_sets(asker: Asker) -> None:
    """Lower and upper end beside each other; for each class whether it is in the set."""
    ends = asker.infer("sure", document(outputs=[{"name": "interval"}])).outputs["interval"]
    assert ends == [end for score in SCORES for end in (score - 1, score + 2)]
    sets = asker.infer("sets", document(outputs=[{"name": "set"}])).json["outputs"][0]
    assert (sets["datatype"], sets["shape"]) == ("BOOL", [4, 2])
    assert sets["data"] == [one for share in PROBABILITIES for one in (1 - share >= 0.3, share >= 0.3)]


def test_explanations_sum_to_what_is_explained(asker: Asker) -> None:
    """base and contributions of a row make its prediction."""
    told = asker.infer("price", document(parameters={"explain": True}))
    outputs = told.outputs
    assert list(outputs) == ["prediction", "base", "contributions"]
    sums = np.reshape(outputs["contributions"], (4, 4)).sum(axis=1) + outputs["base"]
    np.testing.assert_allclose(sums, SCORES)
    assert asker.infer("paid", document(outputs=[{"name": "of"}])).outputs == {"of": ["yes"] * 4}


@pytest.mark.parametrize(
    ("model", "asked", "said"),
    [
        (
            "paid",
            {"outputs": [{"name": "prediction"}]},
            "no output 'prediction'. It has 'label', 'probabilities', 'set'",
        ),
        ("price", {"outputs": [{"name": "label"}]}, "no output 'label'. It has 'prediction', 'interval'"),
        ("paid", {"outputs": [{"name": "set"}]}, "gives no sets of classes"),
        ("paid", {"outputs": [{"name": "label", "parameters": {"classification": 2}}]}, "'classification'"),
        ("paid", {"outputs": [{"name": "label", "parameters": {"shared_memory_region": "x"}}]}, "shared memory"),
        ("paid", {"parameters": {"interval": "perhaps"}}, "Option 'interval' is 'perhaps'"),
        ("paid", {"parameters": {"columns": "label"}}, "Name what you want in 'outputs'"),
        ("paid", {"parameters": {"binary_data_output": 1}}, "'binary_data_output' is 1"),
        ("paid", {"parameters": {"timeout": "soon"}}, "'timeout' is 'soon'"),
        ("paid", {"parameters": {"timeout": -1}}, "'timeout' is -1"),
        ("paid", {"parameters": []}, "$.parameters"),
        ("paid", {"id": 7}, "$.id"),
    ],
)
def test_what_cannot_be_followed_is_refused(asker: Asker, model: str, asked: dict[str, Any], said: str) -> None:
    """With what there is instead."""
    reply = asker.infer(model, document(**asked))
    assert reply.status == 400
    assert said in reply.error


def test_parameters_of_others_are_not_looked_at(asker: Asker) -> None:
    """Sequences, priorities, and what runtimes add."""
    told = document(parameters={"priority": 1, "sequence_id": 3, "sequence_start": True, "content_type": "pd"})
    told["inputs"][0]["parameters"] = {"content_type": "np"}
    assert asker.infer("price", told).outputs["prediction"] == list(SCORES)


def test_more_rows_than_are_answered_at_once_are_refused(asker: Asker) -> None:
    """As in all formats."""
    reply = asker.infer("price", {"inputs": [tensor(name, [None] * 20_001) for name in DATATYPES]})
    assert (reply.status, "20001 rows" in reply.error) == (413, True)


def test_a_deadline_may_be_in_the_body(asker: Asker) -> None:
    """In microseconds; one that has passed is refused as busy, in either way of answering."""
    assert asker.infer("price", document(parameters={"timeout": 60_000_000})).status == 200
    for more in ({"timeout": 1}, {"timeout": 1, "explain": True}):
        reply = asker.infer("price", document(parameters=more))
        assert reply.status == 503
        assert b"retry-after" in reply.headers
    assert asker.infer("price", document(), x_request_timeout_ms="soon").status == 400


@pytest.mark.parametrize(
    ("header", "id", "expected"),
    [
        ("mine", "other", "mine"),
        (None, "order-7", "order-7"),
        (None, "x" * 65, None),
        (None, "ä", None),
        (None, "", None),
    ],
)
@pytest.mark.parametrize("explain", [False, True])
def test_captured_rows_are_named(
    store: Store, header: str | None, id: str, expected: str | None, explain: bool
) -> None:
    """By the SageMaker header, else by the request's id where that can be kept, else by one that is made up."""
    publish(store, regressor(), endpoint="price")
    live = LiveEndpoints(store)
    live.refresh()
    headers = {} if header is None else {"x_amzn_sagemaker_inference_id": header}
    told = document(id=id, parameters={"explain": explain})
    with Capture(store.traffic) as capture, asyncio.Runner() as runner:
        engine = Engine(capture, threads=1, max_body_bytes=9, max_rows=9)
        reply = Asker(InferenceV2(live, engine), live, runner).infer("price", told, **headers)
    told_id = reply.headers[b"x-inference-id"].decode()
    assert reply.json["id"] == id
    assert told_id == expected if expected else len(told_id) > 10
    assert captured_ids(store) == {told_id}


def captured_ids(store: Store) -> set[str]:
    now = datetime.now(UTC)
    frame = store.traffic.read("price", now - timedelta(hours=1), now + timedelta(hours=1))
    assert frame.height == len(ROWS)
    return set(frame.get_column("autopilot.inference_id").to_list())


# ----------------------------------------------------------------------------------------------------------- binary


@pytest.mark.parametrize("model", ["paid", "price", "sets", "sure"])
def test_binary_and_json_are_the_same_bits(asker: Asker, model: str) -> None:
    """On both ways."""
    wanted = {"interval": True} if model in ("sets", "sure") else {}
    plain = asker.infer(model, document(parameters=wanted)).outputs
    packed, tail = in_binary(parameters={"binary_data_output": True, **wanted})
    reply = asker.infer(model, packed, tail)
    assert reply.headers[b"content-type"] == b"application/octet-stream"
    assert reply.outputs == plain


def test_an_output_may_be_in_binary_beside_others(asker: Asker) -> None:
    """Its own word comes before that of the request."""
    wanted = [{"name": "label"}, {"name": "probabilities", "parameters": {"binary_data": False}}]
    told = asker.infer("paid", document(outputs=wanted, parameters={"binary_data_output": True}))
    assert [("data" in one, "parameters" in one) for one in told.json["outputs"]] == [(False, True), (True, False)]
    assert told.outputs["label"] == ["yes", "yes", "no", "yes"]
    wanted = [{"name": "label", "parameters": {"binary_data": True}}, {"name": "probabilities"}]
    assert "data" in asker.infer("paid", document(outputs=wanted)).json["outputs"][1]


@pytest.mark.parametrize("model", ["paid", "price", "sets", "sure"])
@pytest.mark.parametrize("more", [{}, {"binary_data_output": True}, {"explain": True, "interval": True}])
def test_no_rows_have_an_empty_answer(asker: Asker, model: str, more: dict[str, bool]) -> None:
    """Tensors without elements are legal."""
    told = {"inputs": [tensor(name, [], shape=[0, 1]) for name in DATATYPES], "parameters": more}
    if "interval" in more and model in ("paid", "price"):
        del told["parameters"]
    reply = asker.infer(model, told)
    assert reply.status == 200, reply.body
    assert all(cells == [] for cells in reply.outputs.values())
    assert all(output["shape"][0] == 0 for output in reply.json["outputs"])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bodies_and_answers_may_be_packed(asker: Asker, coding: str) -> None:
    """The header with the length of the JSON counts it unpacked, on both ways."""
    pack, unpack = (gzip.compress, gzip.decompress) if coding == "gzip" else (zlib.compress, zlib.decompress)
    wanted = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    many = {"inputs": [tensor(name, cells * 1000) for name, cells in CELLS.items()], "outputs": wanted}
    head = json.dumps(many).encode()
    headers = {b"content-encoding": coding.encode(), b"accept-encoding": coding.encode() + b", zstd"}
    headers[b"inference-header-content-length"] = str(len(head)).encode()
    reply = asker.ask("POST", "/v2/models/paid/infer", pack(head), headers)
    assert reply.status == 200
    assert reply.headers[b"content-encoding"] == coding.encode()
    reply.body = unpack(reply.body)
    assert reply.outputs["probabilities"][1::2] == pytest.approx(PROBABILITIES * 1000)


@pytest.mark.parametrize(
    ("length", "change", "tail", "said"),
    [
        ("-1", {}, b"", "Inference-Header-Content-Length is '-1'"),
        ("1e3", {}, b"", "Inference-Header-Content-Length is '1e3'"),
        ("99999999999999999999", {}, b"", "Inference-Header-Content-Length is"),
        ("5", {}, b"", "no JSON"),
        ("0", {}, b"", "for models with one input"),
        (None, {"binary_data_size": -8}, b"", "binary_data_size of input 'amount' is -8"),
        (None, {"binary_data_size": 2**70}, b"", "binary_data_size of input 'amount' is"),
        (None, {"binary_data_size": 31}, b"", "4 elements of FP64, 32 bytes; its binary_data_size is 31"),
        (None, {"binary_data_size": "32"}, b"", "at `$.inputs[0].parameters.binary_data_size`"),
        (None, {}, b"more", "4 bytes are left behind the last input"),
        (None, {"shared_memory_region": "x", "binary_data_size": None}, b"", "shared memory"),
    ],
)
def test_malformed_binary_is_refused(
    asker: Asker, length: str | None, change: dict[str, Any], tail: bytes, said: str
) -> None:
    """By the header, by a size, by what is left."""
    told, raw = in_binary()
    told["inputs"][0]["parameters"].update(change)
    headers = {} if length is None else {"inference_header_content_length": length}
    reply = asker.infer("paid", told, raw + tail, **headers)
    assert reply.status == 400
    assert said in reply.error


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (b"", "The body is empty"),
        (b"[]", "not as the protocol has it"),
        (b'{"inputs": 3}', "$.inputs"),
        (b'{"inputs": [', "no JSON"),
        (b'{"inputs": [NaN]}', "not as the protocol has it"),
        (b'{"inputs": [{"name": "\xff"}]}', "UTF-8"),
        (b'{"other": ' + b"[" * 5000, "nested too deeply"),
        (b'{"id": "\\ud800", "inputs": [], "x": NaN}', "no JSON"),
        ({"inputs": []}, "no inputs. Send 'amount', 'town', 'visits', 'seen'"),
        (without("amount"), "The input 'amount' is missing"),
        (without("amount", tensor("amuont", [1, 2, 3, 4], "FP64")), "no input 'amuont'. It takes 'amount', 'town'"),
        (document() | {"inputs": document()["inputs"] * 2}, "sent twice"),
        (without("amount", tensor("amount", [1, 2])), "Input 'amount' has 2 rows, and 'town' has 4"),
        (without("amount", tensor("amount", [1, 2], shape=[4])), "4 elements; its data has 2"),
        (without("amount", tensor("amount", [1] * 8, shape=[4, 2])), "has the shape [4, 2]. Send [N] or [N,1]"),
        (without("amount", tensor("amount", [1] * 4, shape=[4, 1, 1])), "has the shape [4, 1, 1]. Send [N]"),
        (without("amount", tensor("amount", [1] * 4, shape=[])), "has the shape []"),
        (without("amount", tensor("amount", [1] * 4, shape=[-4])), "has the shape [-4]"),
        (without("amount", tensor("amount", [], shape=[2**64])), "a dimension of more than 2147483647"),
        (without("amount", tensor("amount", [[1, 2], [3, 4]], shape=[4])), "nested otherwise than its shape [4]"),
        (without("amount", tensor("amount", [[1, 2], [3, 4]], shape=[4, 1])), "nested otherwise than its shape [4, 1]"),
        (without("amount", tensor("amount", [1] * 4, "STRING")), "datatype 'STRING'. There are BOOL, INT8"),
        (without("amount", {"name": "amount", "shape": [4], "datatype": "FP64"}), "has no data"),
        (
            without("amount", tensor("amount", [1] * 4) | {"parameters": {"binary_data_size": 32}}),
            "no Inference-Header-Content-Length",
        ),
        (without("amount", tensor("amount", [1, 2, 3, "n/a"])), "inputs[amount][3]: Column 'amount' was number"),
        (without("amount", tensor("amount", [1, [2], 3, 4])), "inputs[amount][1]: "),
        (without("amount", tensor("amount", [1, 2, 3, 10**400])), "inputs[amount][3]: "),
        (without("visits", tensor("visits", [1, 2, 2.5, 3], "INT32")), "inputs[visits][2]: It is 2.5, which INT32"),
        (without("town", tensor("town", ["a", "b", 1.5, "c"])), "inputs[town][2]: Column 'town' was category"),
        (without("seen", tensor("seen", [None, "soon", None, None])), "inputs[seen][1]: Column 'seen' was time"),
    ],
)
def test_wrong_requests_are_refused(asker: Asker, told: Any, said: str) -> None:
    """With the place, what was sent, and what would be right."""
    reply = asker.infer("paid", told)
    assert reply.status == 400
    assert said in reply.error


PIECES = st.sampled_from(
    [
        b'{"inputs":[{"name":"amount","shape":[1],"datatype":"FP64","parameters":{"binary_data_size":8}}',
        b',{"name":"town","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":7}}',
        b',{"name":"visits","shape":[1],"datatype":"BOOL","parameters":{"binary_data_size":1}}',
        b',{"name":"seen","shape":[1],"datatype":"INT64","data":[0]}',
        b"]}",
        bytes(8),
        b"\x03\0\0\0Ulm",
        b"\xff\xff\xff\xff",
        b"\1",
        b"NaN",
    ]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    body=st.lists(PIECES | st.binary(max_size=12), max_size=9).map(b"".join),
    length=st.none() | st.integers(-2, 400).map(str) | st.text(st.characters(codec="latin-1"), max_size=4),
    model=st.sampled_from(["paid", "price", "sets"]),
    accept=st.none() | st.binary(max_size=5),
)
@example(b"", None, "paid", None)
@example(b"", "0", "paid", None)
def test_whatever_bytes_are_sent_the_answer_is_no_failure(
    asker: Asker, body: bytes, length: str | None, model: str, accept: bytes | None
) -> None:
    """An answer or an error in the protocol's shape."""
    headers = {} if accept is None else {b"accept-encoding": accept}
    if length is not None:
        headers[b"inference-header-content-length"] = length.encode("latin-1")
    reply = asker.ask("POST", f"/v2/models/{model}/infer", body, headers)
    assert reply.status in (200, 400)
    assert reply.status == 200 or list(reply.json) == ["error"]


GUIDE = (ROOT / "docs" / "inference-v2.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Cells of the rows of the table whose first column is headed so."""
    lines = GUIDE.split(f"\n| {heading} |", 1)[1].splitlines()[2:]
    rows = [line[1:-1].split("|") for line in lines[: lines.index("")]]
    return [[cell.strip().strip("`") for cell in row] for row in rows]


@pytest.mark.parametrize(("request_", "answer"), table("request"))
def test_each_example_of_the_guide_is_answered_as_it_says(asker: Asker, request_: str, answer: str) -> None:
    """To the letter."""
    assert asker.infer("price", request_.encode()).body.decode() == answer


def test_the_guide_names_each_output(asker: Asker) -> None:
    """Of classifiers and regressors."""
    named = set(re.findall(r"\w+", " ".join(cells[0] for cells in table("output"))))
    found = {name for model in ("sets", "sure") for name in asker.live.live[model].of(Bodies).outputs}
    assert named == found

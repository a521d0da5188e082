"""The server as SageMaker runs it: a model file in a folder, models that come and go, batch transform."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import serving.__main__ as main
from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.engine import Engine
from serving.invocations import Invocations
from serving.protocols.sagemaker.container import Container
from serving.requests import Request
from storage import Store
from tests import portable
from tests.portable import ROWS, SCORES
from tests.serving.conftest import ServerProcess, serving, spawn

PREDICTIONS = {"predictions": [{"value": score} for score in SCORES]}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of models as SageMaker unpacks them, and some that are none."""
    root = tmp_path_factory.mktemp("models")
    for name, shift in (("a", 0.0), ("b", 1.0)):
        (root / name / "model").mkdir(parents=True)
        (root / name / "model" / "model.onnx").write_bytes(portable.regressor(shift=shift))
    (root / "empty").mkdir()
    (root / "broken.onnx").write_bytes(b"no model")
    (root.parent / "outside.onnx").write_bytes(portable.regressor())
    (root / "link.onnx").symlink_to(root.parent / "outside.onnx")
    return root


@pytest.fixture(scope="module")
def server(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A container for several models; its store has one endpoint."""
    store = Store.open(tmp_path_factory.mktemp("container") / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    with serving(store, "--models", str(files)) as server:
        yield server
    store.close()


def load(server: ServerProcess, name: str, url: str | Path) -> httpx.Response:
    return server.client.post("/models", json={"model_name": name, "url": str(url)})


class TestOneModel:
    @pytest.mark.parametrize("arguments", [[], ["--name", "churn"]])
    def test_a_folder_with_a_model_file_is_served(
        self, files: Path, store: Store, tmp_path: Path, arguments: list[str]
    ) -> None:
        """Health, invocations, and the port that the platform chose."""
        model = str(files / "a" / "model")
        environ = {"SAGEMAKER_BIND_TO_PORT": "0", "AUTOPILOT_STORE": str(store.root)}
        with serving(store, "--model", model, *arguments, environ=environ) as server:
            ping = server.client.get("/ping")
            assert (ping.status_code, ping.content) == (200, b"")
            headers = {"x-amzn-sagemaker-custom-attributes": "trace=7"}
            answer = server.client.post("/invocations", json=ROWS, headers=headers)
            assert answer.json() == PREDICTIONS
            assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "trace=7"
            name = arguments[1] if arguments else "model"
            assert answer.headers["x-autopilot-model"] == f"{name}:0"
            assert server.client.post(f"/endpoints/{name}/invocations", json=ROWS).json() == PREDICTIONS
            assert server.stop() == 0

    def test_the_folder_of_the_platform_is_looked_at(
        self, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If a model is in it; a server elsewhere has no such folder."""
        for folder, found in ((files / "a" / "model", True), (files / "empty", False), (tmp_path / "none", False)):
            monkeypatch.setattr(main, "_MODEL", folder)
            assert main._parse([]).model == (folder if found else None)

    @pytest.mark.parametrize(
        ("model", "code", "message"),
        [
            ("nowhere.onnx", 2, "There is no model file"),
            ("empty", 2, "has 0 .onnx files. Put one there"),
            ("broken.onnx", 1, "The file is not an ONNX model"),
        ],
    )
    def test_what_is_no_model_ends_the_server_with_the_reason(
        self, files: Path, tmp_path: Path, model: str, code: int, message: str
    ) -> None:
        """In one line."""
        arguments = ["--store", str(tmp_path / "store"), "--port", "0", "--model", str(files / model)]
        child = spawn(*arguments, stderr=subprocess.PIPE)
        _, stderr = child.communicate(timeout=60)
        assert child.returncode == code
        assert message in stderr
        assert "Traceback" not in stderr

    def test_errors_are_those_of_any_client(self, server: ServerProcess) -> None:
        """The platform tells its own client of them; it is no SDK that would ask again."""
        agent = {"amz-sdk-invocation-id": "1", "content-type": "text/csv", "x-request-timeout-ms": "1"}
        answer = server.client.post("/models/price/invoke", content=b"4,Ulm,2,\n" * 50_000, headers=agent)
        assert answer.status_code == 503

    def test_batch_transform_is_told_how_to_ask(self, server: ServerProcess) -> None:
        """As many requests at once as there are cores, many records in each."""
        told = server.client.get("/execution-parameters").json()
        assert told["MaxConcurrentTransforms"] >= 1
        assert (told["BatchStrategy"], told["MaxPayloadInMB"]) == ("MULTI_RECORD", 6)
        assert server.client.post("/execution-parameters").status_code == 405


class TestSeveralModels:
    def test_a_model_is_loaded_asked_and_unloaded(self, server: ServerProcess, files: Path) -> None:
        """Its whole life."""
        url = files / "b" / "model"
        assert load(server, "d41d8cd98f00b204e9800998ecf8427e", url).status_code == 200
        path = "/models/d41d8cd98f00b204e9800998ecf8427e"
        told = {"modelName": "d41d8cd98f00b204e9800998ecf8427e", "modelUrl": str(url)}
        assert server.client.get(path).json() == told
        assert told in server.client.get("/models").json()["models"]
        again = load(server, "d41d8cd98f00b204e9800998ecf8427e", url)
        assert (again.status_code, again.json()["type"]) == (409, "urn:autopilot:served-already")
        headers = {"x-amzn-sagemaker-target-model": "b.tar.gz"}
        answer = server.client.post(f"{path}/invoke", json=ROWS[0], headers=headers)
        assert answer.json() == {"predictions": [{"value": 2.0}]}
        assert server.client.delete(path).json() == told
        for gone in (
            server.client.get(path),
            server.client.delete(path),
            server.client.post(f"{path}/invoke", json=ROWS[0]),
        ):
            assert gone.status_code == 404
        assert load(server, "d41d8cd98f00b204e9800998ecf8427e", url).status_code == 200
        server.client.delete(path)

    def test_a_loaded_model_outlives_what_the_store_says(self, server: ServerProcess, files: Path) -> None:
        """The store is asked four times a second, and does not know it."""
        load(server, "kept", files / "a" / "model" / "model.onnx")
        time.sleep(0.6)
        assert server.client.post("/models/kept/invoke", json=ROWS).json() == PREDICTIONS
        server.client.delete("/models/kept")

    def test_endpoints_of_the_store_are_models_that_are_there(self, server: ServerProcess) -> None:
        """They are not loaded again, nor unloaded."""
        assert server.client.get("/models/price").json() == {"modelName": "price", "modelUrl": "regressor:1"}
        assert server.client.post("/models", json={"model_name": "price"}).status_code == 409
        assert server.client.post("/models", json={"model_name": "nobody"}).status_code == 404
        refused = server.client.delete("/models/price")
        assert refused.status_code == 400
        assert "Only what POST /models loaded is unloaded" in refused.json()["detail"]

    @pytest.mark.parametrize(
        ("name", "url", "status", "message"),
        [
            ("x", "{files}/nowhere", 400, "There is no model file"),
            ("x", "{files}/empty", 400, "has 0 .onnx files"),
            ("x", "{files}/broken.onnx", 400, "is not an ONNX model"),
            ("x", "{files}/../outside.onnx", 400, "from which models are loaded"),
            ("x", "{files}/link.onnx", 400, "from which models are loaded"),
            ("x", "/etc/passwd", 400, "from which models are loaded"),
            ("x", "s3://bucket/key", 400, "from which models are loaded"),
            ("x", "a\0b", 400, "is no path"),
            ("a/b", "{files}/a/model", 400, "cannot name a model"),
            ("a\r\nb: c", "{files}/a/model", 400, "cannot name a model"),
        ],
    )
    def test_what_cannot_be_loaded_is_told(
        self, server: ServerProcess, files: Path, name: str, url: str, status: int, message: str
    ) -> None:
        """Nothing outside the folder is looked at."""
        answer = load(server, name, url.format(files=files))
        assert answer.status_code == status
        assert message in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("POST", "/models", b"{", 400),
            ("POST", "/models", b'{"url": "x"}', 400),
            ("POST", "/models", b"\xff", 400),
            ("PUT", "/models", b"", 405),
            ("POST", "/models/price", b"", 405),
            ("GET", "/models/price/invoke", b"", 405),
            ("GET", "/models/price/more", b"", 404),
            ("GET", "/modelsandmore", b"", 404),
        ],
    )
    def test_other_requests_are_problems(
        self, server: ServerProcess, method: str, path: str, body: bytes, status: int
    ) -> None:
        """With the remedy."""
        answer = server.client.request(method, path, content=body)
        assert (answer.status_code, answer.json()["status"]) == (status, status)

    def test_a_long_list_comes_in_pages(self, store: Store) -> None:
        """Each names the next by a token."""
        for name in ("a", "b", "c", "d", "e"):
            portable.publish(store, portable.regressor(), name=name, endpoint=name)
        live = LiveEndpoints(store)
        live.refresh()
        with Engine(Capture(store.traffic), threads=1, max_body_bytes=2**21, max_rows=10) as engine:
            container = Container(live, Invocations(live, engine), threads=1, max_body_bytes=2**21, page=2)
            pages = [list_of(container, b"")]
            while "nextPageToken" in pages[-1]:
                pages.append(list_of(container, b"next_page_token=" + pages[-1]["nextPageToken"].encode()))
        assert [[model["modelName"] for model in page["models"]] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]


def list_of(container: Container, query: bytes) -> Any:
    async def stays() -> None:
        await asyncio.Event().wait()

    return json.loads(asyncio.run(container.answer(Request("GET", "/models", query, {}, b"", stays))).body)

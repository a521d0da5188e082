"""What SageMaker asks of a container that serves, beside `GET /ping` and `POST /invocations`.

GET /execution-parameters       how batch transform is to ask: {"MaxConcurrentTransforms": 2, "MaxPayloadInMB": 6, ...}
GET /models                     {"models": [{"modelName": "a", "modelUrl": "/opt/ml/models/a/model"}]}
POST /models                    {"model_name": "a", "url": "/opt/ml/models/a/model"} loads it; 409 if it is served
GET, DELETE /models/NAME        tells, ends serving
POST /models/NAME/invoke        predicts

A model is an endpoint of the store, or a file in the folder that models may be loaded from: `url` names the file, or a
folder with one `.onnx` file. Without `url` the endpoint of that name is looked for in the store. Endpoints of the store
come and go as they are deployed, so DELETE refuses them.

See https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html and "Use Your Own Inference Code with Batch
Transform" beside it.
"""

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from serving.endpoints import LiveEndpoints
from serving.errors import BodyError, ServedAlreadyError, UnknownEndpointError
from serving.invocations import Invocations
from serving.problems import reply_of
from serving.replies import Reply
from serving.requests import Request, allow
from storage.errors import InputError, ModelFileError

#: Where SageMaker puts the models of an endpoint that has several.
MODELS = Path("/opt/ml/models")
PREFIXES = ("/execution-parameters", "/models")

_PATH = re.compile(r"/models(?:/(?P<name>[^/]+)(?P<invoke>/invoke)?)?/?")
_JSON = [(b"content-type", b"application/json")]
_MEGABYTE = 2**20
_PAGE = 100


class Load(Struct, frozen=True):
    """The body that loads a model."""

    model_name: str
    url: str = ""


class Container:
    """Answers the paths of a container. models: the folder from which files may be loaded. page: models in a list."""

    def __init__(
        self,
        endpoints: LiveEndpoints,
        invocations: Invocations,
        *,
        threads: int,
        max_body_bytes: int,
        models: Path = MODELS,
        page: int = _PAGE,
    ) -> None:
        self._endpoints = endpoints
        self._invocations = invocations
        self._parameters = {
            "MaxConcurrentTransforms": threads,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": max(1, max_body_bytes // _MEGABYTE),
        }
        self._models = models.resolve()
        self._page = page

    async def answer(self, request: Request) -> Reply:
        """The reply to a request. Errors become problem details."""
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001 - each error has a reply
            return self.refuse(error)

    def refuse(self, error: Exception) -> Reply:
        """The reply to a request that ended in an error."""
        return reply_of(error)

    async def _answer(self, request: Request) -> Reply:
        if request.path.rstrip("/") == "/execution-parameters":
            allow(request.method, request.path, "GET")
            return _told(self._parameters)
        path = _PATH.fullmatch(request.path)
        if path is None:
            raise UnknownEndpointError(f"There is nothing at {request.path!r}. GET /models lists models.")
        name = path["name"]
        if path["invoke"]:
            allow(request.method, request.path, "POST")
            return await self._invocations.answer(name, request, is_container=True)
        if name is None:
            allow(request.method, request.path, "GET", "POST")
            return self._list(request.query) if request.method == "GET" else await self._load(request.body)
        allow(request.method, request.path, "GET", "DELETE")
        told = self._model(name)
        if request.method == "DELETE":
            self._unload(name)
        return _told(told)

    def _list(self, query: bytes) -> Reply:
        """A page of models by name; a token is the last name of the page before."""
        token = parse_qs(query.decode("latin-1")).get("next_page_token", [""])[-1]
        names = [name for name in self._endpoints.names if name > token]
        told: dict[str, Any] = {"models": [self._model(name) for name in names[: self._page]]}
        if len(names) > self._page:
            told["nextPageToken"] = names[self._page - 1]
        return _told(told)

    def _model(self, name: str) -> dict[str, str]:
        record = self._endpoints.record(name)
        url = self._endpoints.held.get(name, f"{record.model}:{record.version}")
        return {"modelName": name, "modelUrl": str(url)}

    async def _load(self, body: bytes) -> Reply:
        try:
            load = msgspec.json.decode(body, type=Load)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BodyError(f'{error}. Send {{"model_name": "NAME", "url": "{self._models}/NAME/model"}}.') from error
        if load.model_name in self._endpoints:
            raise ServedAlreadyError(f"A model is served as {load.model_name!r} already. Unload it first.")
        if load.url:
            await asyncio.to_thread(self._hold, load.model_name, load.url)
        else:
            await asyncio.to_thread(self._endpoints.refresh)
        return _told(self._model(load.model_name))

    def _hold(self, name: str, url: str) -> None:
        try:
            self._endpoints.hold(name, self._path(url))
        except ModelFileError as error:
            raise InputError(f"url {url[:200]!r} cannot be loaded. {error}") from error

    def _path(self, url: str) -> Path:
        """The file or folder that is meant. Raises InputError for one that no model may be loaded from."""
        try:
            path = Path(url.removeprefix("file://")).resolve()
        except (OSError, ValueError) as error:
            raise InputError(f"url {url[:200]!r} is no path: {error}. Name a folder in {self._models}.") from error
        if not path.is_relative_to(self._models):
            raise InputError(f"url {url[:200]!r} is not in {self._models}, from which models are loaded. Put it there.")
        return path

    def _unload(self, name: str) -> None:
        if name not in self._endpoints.held:
            raise InputError(f"Model {name!r} is an endpoint of the store. Only what POST /models loaded is unloaded.")
        self._endpoints.let_go(name)


def _told(value: Any) -> Reply:
    return Reply(200, _JSON, msgspec.json.encode(value))

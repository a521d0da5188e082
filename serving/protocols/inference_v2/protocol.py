"""The paths of the protocol."""

import asyncio
import re
from functools import partial
from importlib.metadata import version
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from serving.admission import deadline_of
from serving.endpoints import LiveEndpoints, LiveVariant
from serving.engine import Call, Engine
from serving.errors import BodyError, RequestError, UnknownEndpointError
from serving.inference_ids import INFERENCE_ID, InferenceIds
from serving.loading import when_loaded
from serving.problems import headers_of, noted
from serving.protocols.inference_v2.bodies import Bodies, Sent
from serving.protocols.inference_v2.models import About
from serving.protocols.inference_v2.requests import HEADER_LENGTH
from serving.replies import Reply
from serving.requests import Request, allow
from storage.errors import listed

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "/v2"

#: What Triton calls what is here beyond the Open Inference Protocol.
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "parameters", "statistics")

_MODEL = re.compile(
    r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<verb>infer|ready|config|stats))?"
)
_REPOSITORY = re.compile(r"/v2/repository/models/(?P<name>[^/]+)/(?P<verb>load|unload)")
_JSON = [(b"content-type", b"application/json")]


class InferenceV2:
    """Answers what is below `/v2`."""

    def __init__(self, endpoints: LiveEndpoints, engine: Engine) -> None:
        self._endpoints = endpoints
        self._engine = engine
        self._ids = InferenceIds()
        self._plain: dict[str, tuple[str, Callable[[Request], Any]]] = {
            "/v2": ("GET", lambda _: _server()),
            "/v2/health/live": ("GET", lambda _: {"live": True}),
            "/v2/health/ready": ("GET", self._ready),
            "/v2/models": ("GET", lambda _: {"models": self._endpoints.names}),
            "/v2/models/stats": ("GET", lambda _: self._all_statistics()),
            "/v2/repository/index": ("POST", self._index),
        }

    async def answer(self, request: Request) -> Reply:
        """The reply to a request. Errors become `{"error": ...}`."""
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001 - each error has a reply
            return self.refuse(error)

    def refuse(self, error: Exception) -> Reply:
        """The reply to a request that ended in an error."""
        problem = noted(error)
        told = problem.detail if problem.cell is None else f"{problem.cell}: {problem.detail}"
        return Reply(problem.status, _JSON + headers_of(error), msgspec.json.encode({"error": told}))

    async def _answer(self, request: Request) -> Reply:
        path = request.path.rstrip("/")
        if plain := self._plain.get(path):
            method, tell = plain
            _allow(request, method)
            return _told(tell(request))
        if found := _MODEL.fullmatch(path):
            return await self._answer_model(request, found["name"], found["version"], found["verb"])
        if found := _REPOSITORY.fullmatch(path):
            _allow(request, "POST")
            await (self._load if found["verb"] == "load" else self._unload)(found["name"], request.body)
            return Reply(200, [], b"")
        raise UnknownEndpointError(
            f"There is nothing at {request.path!r}. Ask {PREFIX}/models, or POST to {PREFIX}/models/NAME/infer."
        )

    # ------------------------------------------------------------------------------------------------- one model

    async def _answer_model(self, request: Request, name: str, version: str | None, verb: str | None) -> Reply:
        _allow(request, "POST" if verb == "infer" else "GET")
        inference_id = self._ids.of(request.headers) if verb == "infer" else None
        endpoint = await when_loaded(lambda: self._find(name, version, inference_id))
        if inference_id is not None:
            return await self._infer(endpoint, request, inference_id)
        if verb == "ready":
            return _told({"name": name, "ready": True})
        about = endpoint.of(About)
        if verb == "config":
            return _told(about.configuration())
        if verb == "stats":
            return _told({"model_stats": [about.statistics()]})
        return _told(about.metadata())

    def _find(self, name: str, version: str | None, inference_id: str | None = None) -> LiveVariant:
        """The variant of an endpoint that answers, of that version if one is named.

        Raises UnknownEndpointError, in the words that Triton's clients look for.
        """
        if name not in self._endpoints:
            names = self._endpoints.names
            served = f"Served are {listed(names)}." if names else "Deploy one: autopilot deploy MODEL --endpoint NAME."
            raise UnknownEndpointError(f"Request for unknown model: {name!r} is not found. {served}")
        variant = None if version is None else self._endpoints.variant_of(name, version)
        if version is not None and variant is None:
            served = self._endpoints.record(name).version
            raise UnknownEndpointError(
                f"Request for unknown model: {name!r} version {version} is not found. Served is version {served}."
            )
        return self._endpoints.find(name, inference_id, variant)

    async def _infer(self, endpoint: LiveVariant, request: Request, inference_id: str) -> Reply:
        headers, body, now = request.headers, request.body, monotonic()
        bodies = endpoint.of(Bodies)
        sent = Sent(
            headers.get(HEADER_LENGTH), headers.get(b"accept-encoding"), inference_id, INFERENCE_ID in headers, now
        )
        read = partial(bodies.read, sent)
        call = Call(endpoint, request, read, bodies.has_few(body), inference_id, deadline_of(headers, now))
        written = await self._engine.answer(call)
        return Reply(200, written.headers, written.body)

    # ------------------------------------------------------------------------------------------------ all models

    def _ready(self, _: Request) -> dict[str, Any]:
        self._endpoints.check()
        return {"ready": True}

    def _all_statistics(self) -> dict[str, Any]:
        variants = sorted(self._endpoints.variants, key=lambda variant: variant.record.name)
        return {"model_stats": [variant.of(About).statistics() for variant in variants]}

    def _index(self, request: Request) -> list[dict[str, str]]:
        """$repository_index_response; those that could not be loaded are unavailable."""
        wanted = _decode(request.body, _IndexRequest)
        versions = dict.fromkeys(
            (record.name, str(variant.version)) for record in self._endpoints.records for variant in record.variants
        )
        told = [{"name": name, "version": version, "state": "READY", "reason": ""} for name, version in versions]
        if not wanted.ready:
            reason = "It could not be loaded. The log of the server tells why."
            failed = sorted(name for name in self._endpoints.metrics.loads if name not in self._endpoints)
            told += [{"name": name, "version": "", "state": "UNAVAILABLE", "reason": reason} for name in failed]
        return told

    async def _load(self, name: str, body: bytes) -> None:
        """Look into the store now. Raises UnknownEndpointError if it has no such endpoint, or cannot load it."""
        if parameters := _decode(body, _LoadRequest).parameters:
            raise RequestError(f"Parameter {next(iter(parameters))!r} is not followed: models come from the store.")
        await asyncio.to_thread(self._endpoints.refresh)
        if name in self._endpoints:
            await when_loaded(lambda: self._endpoints.find(name))
        else:
            raise UnknownEndpointError(
                f"failed to load {name!r}: no endpoint of this name could be loaded from the store. "
                "Deploy one: autopilot deploy MODEL --endpoint NAME. If there is one, the log of the server tells more."
            )

    async def _unload(self, name: str, _: bytes) -> None:
        """End serving a model file. Raises RequestError for an endpoint: all servers of the store serve it."""
        if name in self._endpoints.held:
            return self._endpoints.let_go(name)
        self._find(name, None)
        raise RequestError(
            f"failed to unload {name!r}: it is an endpoint of the store, and served as long as it is there. "
            "Deploy another version in its place: autopilot deploy MODEL --endpoint NAME."
        )


class _IndexRequest(Struct):
    ready: bool | None = None


class _LoadRequest(Struct):
    parameters: dict[str, Any] | None = None


def _decode(body: bytes, kind: Any) -> Any:
    """A body that may be empty. Raises BodyError."""
    if not body.strip():
        return kind()
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(f"The body is not as the protocol has it: {error}. Send nothing or an object.") from error


def _server() -> dict[str, Any]:
    return {"name": "autopilot", "version": version("autopilot"), "extensions": EXTENSIONS}


def _told(told: Any) -> Reply:
    return Reply(200, _JSON, msgspec.json.encode(told))


def _allow(request: Request, method: str) -> None:
    allow(request.method, request.path, *(("GET", "HEAD") if method == "GET" else (method,)))

"""TensorFlow Serving's REST interface, which KServe calls its V1 protocol.

POST /v1/models/NAME[/versions/V]:predict
    {"instances": [{"age": 41}]} or [[41]]    {"predictions": [{"label": "yes", "probabilities": [0.2, 0.8]}]}
    {"inputs": {"age": [41]}}                 {"outputs": {"label": ["yes"], "probabilities": [[0.2, 0.8]]}}
GET /v1/models/NAME[/versions/V]                             whether it is served
GET /v1/models/NAME[/versions/V]/metadata                    its inputs and outputs

A model's name is the endpoint's. Of regression, which has one output, there are bare values: {"predictions": [9.5]}.
Errors are {"error": "..."}. See https://www.tensorflow.org/tfx/serving/api_rest
"""

import re
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Any

import msgspec

from serving.admission import deadline_of
from serving.endpoints import LiveEndpoints, LiveVariant
from serving.engine import Asked, Call, Engine, Written
from serving.errors import BodyError, UnknownEndpointError
from serving.formats import Answer
from serving.formats.answer import sets_of
from serving.inference_ids import InferenceIds
from serving.loading import when_loaded
from serving.options import DEFAULT, Options, query_options
from serving.problems import headers_of, noted
from serving.protocols.mlflow import MlflowBodies
from serving.replies import Reply
from serving.requests import Request, allow

PREFIX = "/v1/models/"

_PATH = re.compile(r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[^/:]+))?(?P<verb>:predict|/metadata)?")
_JSON = [(b"content-type", b"application/json")]
_DTYPES = {"number": "DT_DOUBLE", "category": "DT_STRING", "text": "DT_STRING", "time": "DT_INT64"}


class TfServing:
    """Answers what is below `/v1/models/`."""

    def __init__(self, endpoints: LiveEndpoints, engine: Engine) -> None:
        self._endpoints = endpoints
        self._engine = engine
        self._ids = InferenceIds()

    async def answer(self, request: Request) -> Reply:
        """The reply to a request. Errors become `{"error": ...}`."""
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001 - each error has a reply
            return self.refuse(error)

    def refuse(self, error: Exception) -> Reply:
        """The reply to a request that ended in an error."""
        problem = noted(error)
        return Reply(problem.status, _JSON + headers_of(error), msgspec.json.encode({"error": problem.detail}))

    async def _answer(self, request: Request) -> Reply:
        path = _PATH.fullmatch(request.path)
        if path is None:
            raise UnknownEndpointError(f"There is nothing at {request.path!r}. POST to {PREFIX}NAME:predict.")
        name, version = path["name"], path["version"]
        is_asked = path["verb"] == ":predict"
        inference_id = self._ids.of(request.headers) if is_asked else None
        endpoint = await when_loaded(lambda: self._find(name, version, inference_id))
        allow(request.method, request.path, "POST" if is_asked else "GET")
        if inference_id is not None:
            return await self._predict(endpoint, request, inference_id)
        told = _metadata(endpoint) if path["verb"] else _status(endpoint)
        return Reply(200, _JSON, msgspec.json.encode(told))

    def _find(self, name: str, version: str | None, inference_id: str | None) -> LiveVariant:
        variant = None if version is None else self._endpoints.variant_of(name, version)
        if version is not None and variant is None:
            served = self._endpoints.record(name).version
            raise UnknownEndpointError(f"Endpoint {name!r} serves version {served}, not {version!r}. Ask for that.")
        return self._endpoints.find(name, inference_id, variant)

    async def _predict(self, endpoint: LiveVariant, request: Request, inference_id: str) -> Reply:
        options = query_options(request.query) if request.query else DEFAULT
        bodies = endpoint.of(TfBodies)
        few = endpoint.formats.rows["json"].has_few(request.body)
        deadline = deadline_of(request.headers, monotonic())
        call = Call(endpoint, request, partial(bodies.read, options), few, inference_id, deadline)
        written = await self._engine.answer(call)
        own = [*written.headers, (b"x-inference-id", inference_id.encode())]
        return Reply(200, own + endpoint.reply_headers, written.body)


class TfBodies:
    """Reads and answers TensorFlow Serving's bodies for one model."""

    def __init__(self, endpoint: LiveVariant) -> None:
        self._signature = endpoint.signature
        self._rows = endpoint.formats.rows["json"]
        self._columns = endpoint.of(MlflowBodies)  # `inputs` is the same in both

    def read(self, options: Options, body: bytes) -> Asked:
        """What a body asks. Raises BodyError and RowError."""
        if re.match(rb'\s*\{\s*"inputs"\s*:', body):
            return self._columns.read(body, options)._replace(write=self._write_columns)
        if not re.match(rb'\s*\{\s*"(instances|signature_name)"\s*:', body):
            raise BodyError('The body has neither "instances" nor "inputs". Send {"instances": [{...}, ...]}.')
        return Asked(self._rows.decode(body), options, self._write_rows)

    def _write_rows(self, answer: Answer) -> Written:
        columns = self._outputs(answer)
        if len(columns) == 1:
            predictions = next(iter(columns.values()))
        else:
            predictions = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return Written(_JSON, msgspec.json.encode({"predictions": predictions}))

    def _write_columns(self, answer: Answer) -> Written:
        columns = self._outputs(answer)
        outputs: Any = columns if len(columns) > 1 else next(iter(columns.values()))
        return Written(_JSON, msgspec.json.encode({"outputs": outputs}))

    def _outputs(self, answer: Answer) -> Mapping[str, list[Any]]:
        """Named outputs, as the portable model file has them."""
        outputs, options, explained = answer
        named: dict[str, Any] = {"label": outputs.label}
        if options.probabilities:
            named["probabilities"] = outputs.probabilities
        named |= {"prediction": outputs.prediction, "interval": outputs.interval}
        lists: dict[str, list[Any]] = {name: values.tolist() for name, values in named.items() if values is not None}
        if outputs.set is not None:
            lists["set"] = sets_of(self._signature, outputs.set)
        if explained is not None:
            lists |= {
                "of": list(explained.of),
                "base": explained.base.tolist(),
                "contributions": explained.contributions.tolist(),
            }
        return lists


def _status(endpoint: LiveVariant) -> dict[str, Any]:
    status = {"error_code": "OK", "error_message": ""}
    version = {"version": str(endpoint.variant.version), "state": "AVAILABLE", "status": status}
    return {"model_version_status": [version]}


def _metadata(endpoint: LiveVariant) -> dict[str, Any]:
    signature = endpoint.signature
    inputs = {column.name: _tensor(_DTYPES[column.kind], column.name, 1) for column in signature.columns}
    if signature.task == "regression":
        outputs = {"prediction": _tensor("DT_DOUBLE", "prediction")}
    else:
        label = "DT_STRING" if isinstance(signature.classes[0], str) else "DT_INT64"
        shares = _tensor("DT_FLOAT", "probabilities", len(signature.classes))
        outputs = {"label": _tensor(label, "label"), "probabilities": shares}
    default = {"inputs": inputs, "outputs": outputs, "method_name": "tensorflow/serving/predict"}
    return {
        "model_spec": {"name": endpoint.record.name, "signature_name": "", "version": str(endpoint.variant.version)},
        "metadata": {"signature_def": {"signature_def": {"serving_default": default}}},
    }


def _tensor(dtype: str, name: str, *sizes: int) -> dict[str, Any]:
    dim = [{"size": str(size), "name": ""} for size in (-1, *sizes)]
    return {"dtype": dtype, "tensor_shape": {"dim": dim, "unknown_rank": False}, "name": name}

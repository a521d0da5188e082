"""The OpenAPI document: Litestar's own of its routes, and for each live endpoint a path with the model's own columns.

Endpoints come and go, and Litestar makes its document once: so theirs are added when the document is asked for, and
kept until an endpoint changes. `schemas.py` says what rows and answers look like.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin

from serving.endpoints import LiveEndpoints, LiveVariant
from serving.media import MEDIA_TYPES, TEXT_FORMATS, Format
from serving.options import Options
from serving.problems import PROBLEM_TYPE, Problem
from serving.schemas import (
    ANY_PREDICTION,
    ANY_ROW,
    Schema,
    answer_schema,
    prediction_schema,
    row_schema,
    rows_schema,
)

_MOST_LEVELS = 20  # of a column in the document; `/endpoints/NAME/schema` has them all
_REFUSALS = (400, 404, 406, 413, 415, 500, 503)
_GENERIC = ("/endpoints/{name}/invocations", "/invocations")
_OPTIONS = {
    "probabilities": "False leaves out the probability of each class.",
    "interval": "Adds an interval, or the set of classes that the row may have.",
    "explain": "Adds what each column added to the answer.",
    "columns": "These columns of the answer alone, flat and in this order.",
}
#: What bodies of a format hold that is not JSON, sent and answered.
_OTHERS: dict[Format, tuple[str, str]] = {
    "jsonlines": ("A row on each line, as JSON.", "What is told of a row on each line, as JSON."),
    "npy": (
        "An array of rows by all columns, or with named fields.",
        "Values, probabilities, or named fields where more is asked for.",
    ),
    "csv": ("A line for each row, with or without a header.", "A line for each row, without a header."),
}
_TABLES = ("A table with the model's columns.", "A table of what `columns` can name.")


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Problem details as the answer with each of these statuses."""
    return {
        status: ResponseSpec(
            Problem, media_type=PROBLEM_TYPE, description=HTTPStatus(status).phrase, generate_examples=False
        )
        for status in statuses
    }


#: Arguments of a route that predicts; the rest is written below.
INVOCATION: dict[str, Any] = {"status_code": 200, "responses": problems(*_REFUSALS)}

#: Answers of the route that gives a report as it was stored.
REPORT: dict[int, ResponseSpec] = {
    200: ResponseSpec(dict[str, Any], description="The report.", generate_examples=False),
    **problems(400, 404),
}

#: Answers of the route that gives a JSON Schema.
SCHEMA: dict[int, ResponseSpec] = {
    200: ResponseSpec(
        dict[str, Any], media_type="application/schema+json", description="The schema.", generate_examples=False
    ),
    **problems(404),
}


class Document(JsonRenderPlugin):
    """Writes the document as of now. complete: gives a document with what Litestar does not find in routes."""

    def __init__(self, live: LiveEndpoints, complete: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__()
        self._live = live
        self._complete = complete
        self._of_routes: dict[str, Any] | None = None
        self._written: tuple[Any, bytes] = (None, b"")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document as JSON."""
        live = self._live.live
        state = [(name, endpoint.record) for name, endpoint in sorted(live.items())]
        if self._written[0] != state:
            self._of_routes = self._of_routes or self._complete(openapi_schema)
            self._written = (state, msgspec.json.encode(document(self._of_routes, live.values())))
        return self._written[1]


def document(of_routes: dict[str, Any], endpoints: Iterable[LiveVariant]) -> dict[str, Any]:
    """The document of the routes, with those of the endpoints. What it is given stays as it is."""
    paths = {**of_routes["paths"]}
    components = {**of_routes["components"]["schemas"]}
    general = _bodies(ANY_ROW, ANY_PREDICTION)
    for path in _GENERIC:
        operation = paths[path]["post"]
        of_path = [each for each in operation.get("parameters", []) if each["in"] == "path"]
        paths[path] = {"post": _completed(operation, [*of_path, *_parameters()], general)}
    template = paths["/invocations"]["post"]
    for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.record.name):
        name = endpoint.record.name
        components[f"{name}.row"] = row_schema(endpoint.signature, _MOST_LEVELS)
        components[f"{name}.prediction"] = prediction_schema(endpoint.signature)
        paths[f"/endpoints/{name}/invocations"] = {"post": _of_endpoint(endpoint, template)}
    return {**of_routes, "paths": paths, "components": {**of_routes["components"], "schemas": components}}


def _of_endpoint(endpoint: LiveVariant, template: Schema) -> Schema:
    record = endpoint.record
    about = {
        "summary": f"Predict {endpoint.signature.target!r} with {record.model}:{record.version}",
        "description": f"Rows of the endpoint `{record.name}`, a model for {endpoint.signature.task}.",
        "operationId": f"invoke_{record.name}",
    }
    row, prediction = ({"$ref": f"#/components/schemas/{record.name}.{part}"} for part in ("row", "prediction"))
    return _completed({**template, **about}, _parameters(), _bodies(row, prediction))


def _completed(operation: Schema, parameters: list[Schema], bodies: Schema) -> Schema:
    """An operation with the bodies, which Litestar neither decodes nor encodes and so knows nothing of."""
    responses = {**operation["responses"], "200": bodies["answer"]}
    return {**operation, "parameters": parameters, "requestBody": bodies["request"], "responses": responses}


def _bodies(row: Schema, prediction: Schema) -> Schema:
    request: Schema = {}
    answer: Schema = {}
    for format, media_type in MEDIA_TYPES.items():
        sent, told = _OTHERS.get(format, _TABLES)
        is_json = format == "json"
        request[media_type] = {"schema": rows_schema(row) if is_json else _other(format, sent)}
        answer[media_type] = {"schema": answer_schema(prediction) if is_json else _other(format, told)}
    about = "A prediction for each row, in the request's order."
    headers = {
        "x-autopilot-model": _header("The model version that answered, as NAME:VERSION."),
        "x-inference-id": _header("What the rows are captured under."),
        "x-request-id": _header("What the request is called in logs."),
    }
    return {
        "request": {"required": True, "content": request},
        "answer": {"description": about, "headers": headers, "content": answer},
    }


def _other(format: Format, about: str) -> Schema:
    """A body that is no JSON: text, or bytes, which have no type in JSON Schema."""
    if format in TEXT_FORMATS:
        return {"type": "string", "description": about}
    return {"description": about, "contentMediaType": MEDIA_TYPES[format]}


def _header(about: str) -> Schema:
    return {"description": about, "schema": {"type": "string"}}


def _parameters() -> list[Schema]:
    """Options, and headers that the server looks at. `Accept` is told by the answer's media types, as OpenAPI wants."""
    truth = {"type": "boolean"}
    names = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    options = [
        {"name": name, "in": "query", "description": _OPTIONS[name], "schema": truth, "required": False}
        for name in Options.__struct_fields__
        if name != "columns"
    ]
    columns = {"name": "columns", "in": "query", "description": _OPTIONS["columns"], "style": "form", "explode": False}
    return [
        *options,
        {**columns, "schema": names, "required": False},
        _asked("X-Amzn-SageMaker-Inference-Id", "What the rows are captured under.", "^[ -~]{1,64}$"),
        _asked("X-Request-Id", "What the request is called in logs; comes back.", "^[!-~]{1,128}$"),
        {
            "name": "X-Request-Timeout-Ms",
            "in": "header",
            "description": "How long the client waits: a request that would be answered later is refused at once.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 3_600_000},
            "required": False,
        },
    ]


def _asked(name: str, about: str, pattern: str) -> Schema:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "header", "description": about, "schema": schema, "required": False}

"""What the OpenAPI document says of bodies that Litestar neither decodes nor encodes."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from serving.problems import PROBLEM_TYPE, Problem


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Problem details as the answer with each of these statuses."""
    return {
        status: ResponseSpec(
            Problem, media_type=PROBLEM_TYPE, description=HTTPStatus(status).phrase, generate_examples=False
        )
        for status in statuses
    }


@dataclass
class InvocationOperation(Operation):
    """An operation that takes rows as JSON or CSV, and answers in JSON or CSV."""

    def __post_init__(self) -> None:
        """Litestar fills the fields from the route; these two it cannot know."""
        self.request_body = RequestBody(
            required=True,
            content={
                "application/json": OpenAPIMediaType(schema=_rows()),
                "text/csv": OpenAPIMediaType(schema=_text("A line for each row, with or without a header.")),
            },
        )
        answer = OpenAPIResponse(
            description="A prediction for each row, in the request's order.",
            content={
                "application/json": OpenAPIMediaType(schema=_predictions()),
                "text/csv": OpenAPIMediaType(schema=_text("A line for each row: `label,p_1,...,p_C`, or `value`.")),
            },
        )
        self.responses = {**(self.responses or {}), "200": answer}


#: Arguments of a route that predicts.
INVOCATION: dict[str, Any] = {
    "status_code": 200,
    "operation_class": InvocationOperation,
    "responses": problems(400, 404, 406, 413, 415),
}


#: Answers of the route that gives a report as it was stored.
REPORT: dict[int, ResponseSpec] = {
    200: ResponseSpec(dict[str, Any], description="The report.", generate_examples=False),
    **problems(400, 404),
}


def _rows() -> Schema:
    row = Schema(type=OpenAPIType.OBJECT, description="A value for each of the model's columns; null is missing.")
    rows = Schema(type=OpenAPIType.ARRAY, items=row, min_items=1)
    return Schema(one_of=[row, rows, _object(instances=rows)])


def _predictions() -> Schema:
    number = Schema(type=OpenAPIType.NUMBER)
    label = Schema(one_of=[Schema(type=OpenAPIType.STRING), Schema(type=OpenAPIType.INTEGER)])
    shares = Schema(type=OpenAPIType.OBJECT, additional_properties=number)
    row = Schema(one_of=[_object(label=label, probabilities=shares), _object(value=number)])
    return _object(predictions=Schema(type=OpenAPIType.ARRAY, items=row))


def _object(**properties: Schema) -> Schema:
    return Schema(type=OpenAPIType.OBJECT, properties=dict(properties), required=list(properties))


def _text(description: str) -> Schema:
    return Schema(type=OpenAPIType.STRING, description=description)

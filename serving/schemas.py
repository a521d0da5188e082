"""JSON Schemas (draft 2020-12) of what a model takes and gives, made from its signature.

They describe what a client should send: a value of the column's own type, or null. What is taken besides, such as a
number in quotes, is in docs/columns.md. What training saw is told and not demanded, since a model answers for any
value: its range is `x-training-minimum` and `x-training-maximum`, its categories are `x-known-levels`.
"""

from typing import Any

from serving.page import example_row
from storage.signature import Column, Signature

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MOST_LEVELS = 1_000  # as many as a signature has
_TYPES = {"Boolean": "boolean", "Int": "integer", "UInt": "integer", "List": "array", "Array": "array"}
_EPOCHS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

Schema = dict[str, Any]


def row_schema(signature: Signature, most_levels: int = _MOST_LEVELS) -> Schema:
    """One row. most_levels: how many known categories of a column are told."""
    properties = {column.name: _column(column, most_levels) for column in signature.columns}
    properties |= {name: {"description": "Not looked at."} for name in sorted(signature.ignorable - set(properties))}
    schema: Schema = {
        "type": "object",
        "description": "A value for each of the model's columns; null is missing.",
        "properties": properties,
        "required": [column.name for column in signature.columns if not column.path],
        "additionalProperties": False,
        "examples": [example_row(signature)],
    }
    if signature.nested:
        _add_nested(schema, signature)
    return schema


def _add_nested(schema: Schema, signature: Signature) -> None:
    """Let a struct or list of the training table be sent whole instead of by its flat names."""
    wholes: list[Schema] = []
    for root in dict.fromkeys(str(path[0]) for path in signature.nested):
        schema["properties"][root] = {"type": ["object", "array", "null"], "description": "Sent whole."}
        flat = [column.name for column in signature.columns if column.path and column.path[0] == root]
        wholes.append({"anyOf": [{"required": [root]}, {"required": flat}]})
    schema["allOf"] = wholes


def _column(column: Column, most_levels: int) -> Schema:
    schema: Schema = {"type": [*_types(column), "null"], "description": _about(column)}
    if column.kind == "number":
        told = {"x-training-minimum": column.minimum, "x-training-maximum": column.maximum}
        schema |= {name: value for name, value in told.items() if value is not None}
    if column.kind == "time" and column.format is None:
        schema["format"] = "date" if column.dtype == "Date" else "date-time"
    if column.sensitive:
        schema["x-sensitive"] = True  # such a column has neither range nor levels
    if column.levels:
        schema["x-known-levels"] = list(column.levels[:most_levels])
        schema["examples"] = list(column.levels[:3])
    return schema


def _types(column: Column) -> list[str]:
    """JSON's types for a column's values."""
    if column.kind == "number":
        return ["number", "boolean"] if column.dtype == "Boolean" else ["number"]
    if column.kind == "time":
        return ["integer", "string"] if column.format in _EPOCHS else ["string"]
    other = next((type_ for start, type_ in _TYPES.items() if column.dtype.startswith(start)), None)
    return ["string"] if other is None else ["string", other]


def _about(column: Column) -> str:
    """What training saw in a column, in a sentence."""
    about = f"{column.kind.capitalize()}, {column.dtype} in training"
    if column.kind == "number" and column.minimum is not None:
        about += f" from {column.minimum:g} to {column.maximum:g}"
    if column.levels:
        about += f" with {len(column.levels)} known levels"
    if column.format is not None:
        unit = _EPOCHS.get(column.format)
        about += f", as {unit} since 1970" if unit else f", written as {column.format}"
    return about + "."


def rows_schema(row: Schema) -> Schema:
    """A JSON body: one row, several, or several under a name. row: the schema of one, or a reference to it."""
    rows = {"type": "array", "items": row, "minItems": 1}
    wrapped = {"type": "object", "properties": {"instances": rows}, "required": ["instances"]}
    return {"anyOf": [row, rows, {**wrapped, "additionalProperties": False}]}


def answer_schema(prediction: Schema) -> Schema:
    """A JSON answer. prediction: the schema of what is told of a row, or a reference to it."""
    return {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": prediction, "minItems": 1}},
        "required": ["predictions"],
        "additionalProperties": False,
    }


def prediction_schema(signature: Signature) -> Schema:
    """What is told of a row: as usual, or flat, where single columns are asked for and where MLflow asks."""
    value = {"type": ["number", "null"], "description": "null where it is not finite."}
    names = {"type": "object", "additionalProperties": value}
    explained = _object(
        {"of": {}, "base": value, "contributions": names, "standard_errors": names}, ["of", "base", "contributions"]
    )
    flat: Schema = {"of": {}, "base": value, "lower": value, "upper": value}
    flat |= {f"contribution_{name}": value for name in signature.names}
    if signature.task == "regression":
        interval = {"type": "array", "items": value, "minItems": 2, "maxItems": 2}
        usual = _object({"value": value, "interval": interval, "explanation": explained}, ["value"])
        return {"anyOf": [usual, value, _object({"prediction": value, **flat}, [])]}
    label = {"enum": list(signature.classes)}
    set_ = {"type": "array", "items": label}
    shares = {str(name): value for name in signature.classes}
    usual = _object(
        {"label": label, "probabilities": _object(shares, list(shares)), "set": set_, "explanation": explained},
        ["label"],
    )
    flat |= {"label": label, "set": set_, **{f"p_{name}": value for name in signature.classes}}
    return {"anyOf": [usual, _object(flat, [])]}


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


#: What is known of any model's rows and answers.
ANY_ROW: Schema = {"type": "object", "description": "A value for each of the model's columns; null is missing."}
ANY_PREDICTION: Schema = {
    "type": ["object", "number", "null"],
    "description": "A label or a value, and what was asked.",
}

"""The model card: all that a model file tells of itself, and what can be read off its graph."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import onnx
from msgspec import Struct
from onnx import AttributeProto

from autopilot.vectors import REAL, Vectors
from storage.boundary import MISSING_TIME
from storage.errors import ModelFileError
from storage.packed import read_metadata
from storage.records import Card
from storage.signature import Column, Signature

#: Domains of the ONNX standard, "" being the main one: https://onnx.ai/onnx/operators/. Any other is a runtime's own.
STANDARD = ("", "ai.onnx", "ai.onnx.ml")


class Description(Struct, frozen=True):
    """A model file in plain data.

    card: how the model came to be, as embedded. signature: its inputs and outputs. size_bytes: of the file. intact:
    whether the graph is the one of which the card tells the digest. opsets: version of each operator set. operators:
    how many nodes of each (see `operators_of`). contrib: those outside the standard, which not every runtime has.
    vectors: how many test vectors. example: an input row for JSON, None if no vector is a real row.
    """

    card: Card
    signature: Signature
    size_bytes: int
    intact: bool
    opsets: dict[str, int]
    operators: dict[str, int]
    contrib: tuple[str, ...]
    vectors: int
    example: dict[str, Any] | None


def describe(file: bytes) -> Description:
    """Read a model file's card and its graph. Raises ModelFileError if autopilot did not write the file."""
    metadata = read_metadata(file)
    try:
        card = msgspec.json.decode(metadata["card"], type=Card)
        signature = msgspec.json.decode(metadata["signature"], type=Signature)
    except (KeyError, msgspec.MsgspecError) as error:
        raise ModelFileError("The file is not a model that autopilot wrote: it has no card.") from error
    model = onnx.load_from_string(file)
    vectors = _vectors(metadata)
    operators = operators_of(model)
    return Description(
        card=card,
        signature=signature,
        size_bytes=len(file),
        intact=digest_of(model) == card.digest,
        opsets={opset.domain or "ai.onnx": opset.version for opset in model.opset_import},
        operators=operators,
        contrib=tuple(sorted(name for name in operators if name.rpartition(".")[0] not in STANDARD)),
        vectors=len(vectors.about) if vectors else 0,
        example=_example(signature, vectors) if vectors else None,
    )


def digest_of(model: onnx.ModelProto) -> str:
    """sha256 of a model without its metadata: of what decides on its answers."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def operators_of(model: onnx.ModelProto) -> dict[str, int]:
    """How many nodes of each operator, most frequent first; one of another domain than the main one is DOMAIN.NAME."""
    names = Counter(f"{node.domain}.{node.op_type}".lstrip(".") for node in _nodes(model.graph))
    return dict(names.most_common())


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those of branches and loops too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _nodes(attribute.g)


def _vectors(metadata: dict[str, str]) -> Vectors | None:
    """The test vectors; None if there are none, or of another layout: `autopilot verify` says which."""
    try:
        return msgspec.json.decode(metadata.get("vectors", ""), type=Vectors)
    except msgspec.MsgspecError:
        return None


def _example(signature: Signature, vectors: Vectors) -> dict[str, Any] | None:
    """The real row with the fewest nulls, as an invocation sends it."""
    rows = [
        {column.name: _plain(column, vectors.inputs[column.name][at]) for column in signature.columns}
        for at, about in enumerate(vectors.about)
        if about == REAL
    ]
    return min(rows, key=lambda row: sum(value is None for value in row.values()), default=None)


def _plain(column: Column, value: float | str) -> Any:
    """A test vector's value as JSON for people: null for missing, whole numbers whole, times by ISO 8601."""
    if column.kind == "time":
        return None if int(value) == MISSING_TIME else _iso(int(value), is_date=column.dtype == "Date")
    if column.kind != "number":
        return value or None
    number = float(value)
    if not math.isfinite(number):
        return None
    if column.dtype == "Boolean":
        return bool(number)
    return int(number) if "Int" in column.dtype else number


def _iso(time_us: int, *, is_date: bool) -> str:
    """A time, in UTC; a date alone where the table had dates."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    return f"{when:%Y-%m-%d}" if is_date else when.isoformat().replace("+00:00", "Z")

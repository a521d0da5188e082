"""A baseline as people write it: ours, or SageMaker's constraints alone."""

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from storage.baselines.baseline import Baseline, ColumnBaseline
from storage.baselines.sagemaker import ConstraintsFile
from storage.errors import DataError, listed
from storage.signature import Signature

#: Either form. Constraints tell nothing of what a table held: that is the reference of the model that is served.
Document: TypeAlias = Baseline | ConstraintsFile


def parse_document(data: bytes, place: str) -> Document:
    """Either form from its JSON: constraints of SageMaker's have `features`. place: where it is, for the error.

    Raises DataError that names the place in it that is not as it should be.

    >>> parse_document(b'{"features": [{"name": "age", "inferred_type": "Integral"}]}', "The body").features[0].name
    'age'
    >>> parse_document(b"[]", "The body")
    Traceback (most recent call last):
    storage.errors.DataError: The body is no data-quality baseline: ...
    """
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{place} is no JSON: {error}. Send a baseline.json, or a constraints.json.") from error
    if isinstance(raw, dict) and "features" in raw:
        return ConstraintsFile.parse(data, place)
    return Baseline.parse(data, place)


def json_of(document: Document) -> str:
    """A document as one line of JSON, in which `parse_document` tells its form."""
    return msgspec.json.encode(document).decode()


def check_document(document: Document, signature: Signature) -> None:
    """Raise DataError for what cannot be asked of the rows that a model is sent.

    That is a column that neither the model takes nor training left out, no column that the model takes, two of one
    name, and a value of a sensitive column. Columns that training left out, such as the target, are asked nothing.
    """
    names = [name for name, _ in _columns(document)]
    if unknown := [name for name in names if name not in signature.names and name not in signature.ignorable]:
        raise DataError(
            f"The baseline asks for column {unknown[0][:80]!r}, which the model does not take. Take it out, or correct "
            f"its name: the model takes {listed(list(signature.names))}."
        )
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(f"The baseline has column {min(twice)[:80]!r} twice. Take one of them out.")
    if not set(names) & set(signature.names):
        raise DataError(
            f"The baseline asks for {len(names)} columns, none of which the model takes. Ask for some of "
            f"{listed(list(signature.names))}."
        )
    hidden = {column.name for column in signature.columns if column.sensitive}
    for name, told in _columns(document):
        if name in hidden and told:
            raise DataError(
                f"Column {name!r} is sensitive, and the baseline holds values of it: {told}. Take them out; what else "
                "is asked of it may stay."
            )


def _columns(document: Document) -> Iterator[tuple[str, str]]:
    """Each column, and what of it are values, in words; empty where there are none."""
    if isinstance(document, Baseline):
        yield from ((column.name, _values_in(column)) for column in document.columns)
        return
    for feature in document.features:
        has_levels = feature.string_constraints is not None and feature.string_constraints.domains
        yield feature.name, "its domains" if has_levels else ""


def _values_in(column: ColumnBaseline) -> str:
    """A length is no value."""
    facts, asked = column.statistics, column.constraints
    found = {"its levels": bool(facts.levels), "its domain": asked.domain is not None, "its range": bool(asked.range)}
    if column.kind in ("number", "time"):
        figures = (facts.minimum, facts.maximum, facts.mean, facts.std_dev)
        found["figures of its values"] = any(figure is not None for figure in figures)
    return ", ".join(name for name, is_there in found.items() if is_there)

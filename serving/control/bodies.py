"""Bodies of requests that change something: read strictly, and refused with place, value and remedy."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Struct
from msgspec.inspect import (
    DictType,
    ListType,
    LiteralType,
    NoneType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)
from msgspec.structs import fields

from serving.errors import RequestError

B = TypeVar("B")

_MOST_SHOWN = 80
_HUGE = 2**63
_EXPECTED = re.compile(r"Expected `(?P<expected>[^`]+)`(?: (?P<bound>of length .+|[<>]=? .+?))?(?:, got `[^`]+`)?")
_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def decode(body: bytes, kind: type[B]) -> B:
    """A JSON body as a struct, or as a list of structs. Raises RequestError; fields that the struct does not have are
    refused: a misspelt one would otherwise be taken for one that was left out.

    >>> from storage.api import AliasTarget
    >>> decode(b'{"version": 3}', AliasTarget)
    AliasTarget(version=3)
    >>> decode(b'{"version": "3"}', AliasTarget)
    Traceback (most recent call last):
    serving.errors.RequestError: version is '3'. Send a whole number.
    >>> decode(b'{"version": 3, "model": "churn"}', AliasTarget)
    Traceback (most recent call last):
    serving.errors.RequestError: The body has a field 'model', which is not known. The fields are 'version'.
    """
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        told = "is empty" if not body.strip() else f"is no JSON: {error}"
        raise RequestError(f"The body {told}. Send {_form(kind)}.") from error
    _refuse_huge(raw, "")
    try:
        found = msgspec.convert(raw, kind)
        _refuse_unknown(raw, found, "")
    except msgspec.ValidationError as error:
        raise RequestError(_told(str(error), raw, kind)) from error
    return found


def remedy_of(message: str) -> str | None:
    """What to send, by what msgspec expected; None where its message does not say.

    >>> remedy_of("Expected `int`, got `str`"), remedy_of("Expected `int | null`, got `str`")
    ('Send a whole number.', 'Send a whole number or null.')
    >>> remedy_of("Expected `bool | int | float | str`, got `null`")
    'Send true or false, a number or text.'
    """
    found = _EXPECTED.match(message)
    if found is None:
        return "Send a time such as 2024-05-01T13:30:00Z." if "datetime" in message else None
    words = [word.strip() for word in found["expected"].split("|")]
    wanted = [_WORDS.get(word, word) for word in words if word != "int" or "float" not in words]
    bound = f", {found['bound']}" if found["bound"] else ""
    return f"Send {_one_of(wanted)}{bound}."


def shown(value: Any) -> str:
    """A value in a message."""
    text = repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode(errors="replace")
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _told(message: str, raw: Any, kind: type[Any]) -> str:
    """A message of msgspec's in our words."""
    at = _PLACE.search(message)
    path = at["path"] if at else ""
    reason = message[: at.start()] if at else message
    place = path.replace("[...]", "").lstrip(".") or "The body"
    if reason.startswith("Object missing required field"):
        name = reason.split("`")[1]
        return f"{place} lacks {name!r}. Send {_names(kind) if not path else 'it'}."
    if reason.startswith("Object contains unknown field"):
        return next(_unknown(raw, kind), f"{place} has a field that is not known.")
    misfit = next(_misfits(raw, kind), None)
    if misfit and (reason.startswith("Invalid enum value") or misfit[0] == place):
        where, value, choices = misfit
        return f"{where} is {shown(value)}. Send {_one_of([repr(choice) for choice in choices])}."
    remedy = remedy_of(reason) or f"{reason}."
    if path.endswith("[...]"):  # of an object with any keys, msgspec does not tell which
        return f"{place} is {shown(_at(raw, path))}. {remedy.replace('Send', 'Give each')}"
    return f"{place} is {shown(_at(raw, path))}. {remedy}"


def _at(raw: Any, path: str) -> Any:
    """The value at a path of msgspec's. `...` stands for some key or element that it does not name: the whole then."""
    for name, index in _STEP.findall(path):
        try:
            raw = raw[name] if name else raw[int(index)]
        except (LookupError, TypeError, ValueError):
            return raw
    return raw


def _misfits(raw: Any, kind: type[Any]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Place, value and choices of what is none of its choices."""
    for place, value, wanted in _typed(raw, type_info(kind), ""):
        if isinstance(wanted, LiteralType) and value not in wanted.values:
            yield place or "The body", value, wanted.values


def _unknown(raw: Any, kind: type[Any]) -> Iterator[str]:
    """What to tell of each field that a struct does not have."""
    for place, value, wanted in _typed(raw, type_info(kind), ""):
        if isinstance(wanted, StructType) and isinstance(value, dict):
            known = {field.encode_name for field in wanted.fields}
            yield from (_told_unknown(name, place, wanted.cls) for name in value if name not in known)


def _typed(raw: Any, kind: Type, place: str) -> Iterator[tuple[str, Any, Type]]:
    """Each value of the JSON with its place and the type that it is to have, as far as its form fits."""
    yield place, raw, kind
    if isinstance(kind, UnionType) and raw is not None:
        for one in kind.types:
            if not isinstance(one, NoneType):
                yield from _typed(raw, one, place)
    elif isinstance(kind, StructType) and isinstance(raw, dict):
        for field in kind.fields:
            if field.encode_name in raw:
                yield from _typed(raw[field.encode_name], field.type, f"{place}.{field.encode_name}".lstrip("."))
    elif isinstance(kind, DictType) and isinstance(raw, dict):
        for name, value in raw.items():
            yield from _typed(value, kind.value_type, f"{place}.{name}".lstrip("."))
    elif isinstance(kind, ListType | VarTupleType) and isinstance(raw, list):
        for index, value in enumerate(raw):
            yield from _typed(value, kind.item_type, f"{place}[{index}]")


def _refuse_unknown(raw: Any, found: Any, place: str) -> None:
    """Raise RequestError for a field of the JSON that the structs do not have."""
    if isinstance(found, Struct) and isinstance(raw, dict):
        known = {field.encode_name: field.name for field in fields(found)}
        for name, value in raw.items():
            if name not in known:
                raise RequestError(_told_unknown(name, place, type(found)))
            _refuse_unknown(value, getattr(found, known[name]), f"{place}.{name}".lstrip("."))
    elif isinstance(found, list | tuple) and isinstance(raw, list):
        for index, (value, one) in enumerate(zip(raw, found, strict=True)):
            _refuse_unknown(value, one, f"{place}[{index}]")


def _told_unknown(name: str, place: str, kind: type[Any]) -> str:
    where = f" at {place}" if place else ""
    return f"The body has a field {shown(name)}{where}, which is not known. The fields are {_names(kind)}."


def _refuse_huge(raw: Any, place: str) -> None:
    """Raise RequestError for a whole number that no database holds."""
    if isinstance(raw, dict):
        for name, value in raw.items():
            _refuse_huge(value, f"{place}.{name}".lstrip("."))
    elif isinstance(raw, list):
        for index, value in enumerate(raw):
            _refuse_huge(value, f"{place}[{index}]")
    elif isinstance(raw, int) and not -_HUGE <= raw < _HUGE:
        raise RequestError(f"{place or 'The body'} is {shown(raw)}. Send a whole number of 64 bits.")


def _form(kind: type[Any]) -> str:
    """What a body is to be."""
    inner = get_args(kind)
    return f"a JSON list of objects with {_names(inner[0])}" if inner else f"a JSON object with {_names(kind)}"


def _one_of(words: Sequence[str]) -> str:
    """Alternatives, such as `a, b or c`."""
    return " or ".join(word for word in (", ".join(words[:-1]), words[-1]) if word)


def _names(kind: type[Any]) -> str:
    return ", ".join(repr(name) for name in getattr(kind, "__struct_encode_fields__", ())) or "nothing in it"

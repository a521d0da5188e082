"""Bodies of requests that change something: read strictly, and refused with place, value and remedy."""

import re
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
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
    """A JSON body as a struct. Raises RequestError; fields that the struct does not have are refused: a misspelt one
    would otherwise be taken for one that was left out.

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
        raise RequestError(f"The body {told}. Send a JSON object with {_names(kind)}.") from error
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
    """
    found = _EXPECTED.match(message)
    if found is None:
        return "Send a time such as 2024-05-01T13:30:00Z." if "datetime" in message else None
    wanted = [_WORDS.get(word.strip(), word.strip()) for word in found["expected"].split("|")]
    bound = f", {found['bound']}" if found["bound"] else ""
    return f"Send {' or '.join(wanted)}{bound}."


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


def _refuse_unknown(raw: Any, found: Any, place: str) -> None:
    """Raise RequestError for a field of the JSON that the structs do not have."""
    if isinstance(found, Struct) and isinstance(raw, dict):
        known = {field.encode_name: field.name for field in fields(found)}
        for name, value in raw.items():
            if name not in known:
                where = f" at {place}" if place else ""
                names = _names(type(found))
                raise RequestError(
                    f"The body has a field {shown(name)}{where}, which is not known. The fields are {names}."
                )
            _refuse_unknown(value, getattr(found, known[name]), f"{place}.{name}".lstrip("."))
    elif isinstance(found, list | tuple) and isinstance(raw, list):
        for index, (value, one) in enumerate(zip(raw, found, strict=True)):
            _refuse_unknown(value, one, f"{place}[{index}]")


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


def _names(kind: type[Any]) -> str:
    return ", ".join(repr(name) for name in getattr(kind, "__struct_encode_fields__", ())) or "nothing in it"

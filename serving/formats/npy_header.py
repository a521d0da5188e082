r"""The header of a NumPy file: what its bytes are, told before any of them is looked at.

    \x93NUMPY  version: 2 bytes  length of the text: 2 bytes, from version 2 on 4  text
    {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }

`numpy.load` evaluates the text as Python and allocates what the shape tells. Here a regular expression reads it, and
what it tells has to be as long as the body is. Objects, which are pickles, are refused.
See https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import ast
import math
import re
from typing import NamedTuple

import numpy as np

from serving.errors import BodyError

_MAGIC = b"\x93NUMPY"
#: Bytes of the length of the text, by the version.
_LENGTHS = {1: 2, 2: 4, 3: 4}
_MOST_TEXT = 100_000  # the names of some thousand columns
_MOST_DIMENSIONS = 2

_TYPE = r"[<>|=]?(?:b1|\?|[iu][1248]|f[248]|[SU]\d{1,7}|M8\[(?:D|s|ms|us|ns)\])"
_ESCAPE = r"\\(?:[\\'\"abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5})"
_STRING = rf"'(?:[^'\\\n]|{_ESCAPE})*'|\"(?:[^\"\\\n]|{_ESCAPE})*\""
_FIELD = rf"\(\s*+(?P<name>{_STRING})\s*+,\s*+'(?P<type>{_TYPE}|\|V\d{{1,7}})'\s*+\)"
_ANY_FIELD = re.sub(r"\?P<\w+>", "?:", _FIELD)
_HEADER = re.compile(
    r"\s*+\{\s*+'descr'\s*+:\s*+"
    rf"(?:'(?P<type>{_TYPE})'|\[\s*+(?P<fields>{_ANY_FIELD}(?:\s*+,\s*+{_ANY_FIELD})*)\s*+,?\s*+\])"
    r"\s*+,\s*+'fortran_order'\s*+:\s*+(?P<fortran>True|False)\s*+,"
    r"\s*+'shape'\s*+:\s*+\(\s*+(?P<shape>(?:\d{1,18}(?:\s*+,\s*+\d{1,18})*\s*+,?)?)\s*+\)\s*+,?\s*+\}\s*+",
    re.ASCII,
)
_EACH_FIELD = re.compile(_FIELD, re.ASCII)


class NpyHeader(NamedTuple):
    """shape: of none, one or two dimensions. is_columns: whether columns lie one by one. start: where values begin."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    is_columns: bool
    start: int


def read_header(body: bytes) -> NpyHeader:
    """The header of a body whose length is what it tells. Raises BodyError."""
    text, start = _text(body)
    found = _HEADER.fullmatch(text)
    if found is None:
        raise BodyError(_why_not(text))
    shape = tuple(int(length) for length in found["shape"].split(",") if length.strip())
    dtype = _dtype(found)
    if len(shape) > _MOST_DIMENSIONS or not dtype.itemsize:
        raise BodyError(f"The array has the shape {shape} of {dtype}. Send (rows, columns), or one row as (columns,).")
    wanted, there = math.prod(shape) * dtype.itemsize, len(body) - start
    if wanted != there:
        raise BodyError(f"The array of shape {shape} is {wanted} bytes long; the body has {there}. Send it whole.")
    return NpyHeader(dtype, shape, found["fortran"] == "True", start)


def _text(body: bytes) -> tuple[str, int]:
    """The text of a header, and where it ends."""
    if not body.startswith(_MAGIC):
        zipped = " It is an .npz: send its array alone, by numpy.save." if body.startswith(b"PK") else ""
        raise BodyError(f"The body is no NumPy file.{zipped or ' Write it by numpy.save.'}")
    width = _LENGTHS.get(body[6]) if len(body) > 7 else 0
    if width is None:
        raise BodyError(f"The NumPy file has the version {body[6]}. Write version 1, 2 or 3.")
    start = 8 + width
    length = int.from_bytes(body[8:start], "little")
    if not width or length > _MOST_TEXT or start + length > len(body):
        raise BodyError("The NumPy file ends in its header. Send it whole.")
    return body[start : start + length].decode("utf-8" if body[6] == 3 else "latin-1", "replace"), start + length


def _why_not(text: str) -> str:
    if "'O'" in text or "'|O'" in text:
        return "The array holds Python objects, which are never read. Send numbers, or text as str or bytes."
    return (
        f"The array is {text.strip()[:100]!r}, which is not read. Send numbers, booleans, text or datetime64, "
        "or named fields of them."
    )


def _dtype(found: "re.Match[str]") -> np.dtype[np.generic]:
    """The type of a header that has been matched. Raises BodyError for fields of one name."""
    if found["type"] is not None:
        return np.dtype(found["type"])
    names: list[str] = []
    types: list[str] = []
    offsets: list[int] = []
    end = 0
    for field in _EACH_FIELD.finditer(found["fields"]):
        name, type_ = _name(field["name"]), field["type"]
        if not type_.startswith("|V"):  # a gap between fields, for their alignment
            names.append(name)
            types.append(type_)
            offsets.append(end)
        end += np.dtype(type_).itemsize
    if not names or len(set(names)) < len(names) or end > 2**31 - 1:
        raise BodyError("The array names a field twice, or none. Name each of the model's columns once.")
    return np.dtype({"names": names, "formats": types, "offsets": offsets, "itemsize": end})


def _name(literal: str) -> str:
    """A string as Python writes it."""
    try:
        return str(ast.literal_eval(literal)) if "\\" in literal else literal[1:-1]
    except (ValueError, SyntaxError):  # beyond Unicode, or a NUL
        return ""

"""Errors by their words, taken literally."""

import re
from typing import TypeVar

import pytest

E = TypeVar("E", bound=Exception)


def raises(kind: type[E], message: str) -> "pytest.RaisesExc[E]":
    """`pytest.raises` for an error that says this, somewhere in its message."""
    return pytest.raises(kind, match=re.escape(message))

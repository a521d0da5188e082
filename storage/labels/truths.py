"""Which class or number a label says."""

import math
import re
from typing import Any

from storage.boundary.numbers import NUMBER
from storage.errors import listed
from storage.signature import Signature

_NUMBER = re.compile(NUMBER)
_MOST_DIGITS = 400  # beyond them a number is none that a float holds


class Truths:
    """Reads labels for a model's target.

    Whichever way a label comes, as text of a csv cell or typed, it means the class that it shows: 1, 1.0 and "1" are
    the class 1, and true is the class "true". For regression a label is a finite number.

    >>> paid = Truths(Signature("binary", "paid", (), classes=(0, 1)))
    >>> paid.read("1"), paid.read(1.0), paid.read(True), paid.read("yes")
    (1, 1, None, None)
    """

    def __init__(self, signature: Signature) -> None:
        self._is_number = signature.task == "regression"
        self._classes: dict[str, str | int] = {str(name): name for name in signature.classes}

    def read(self, value: Any) -> str | int | float | None:
        """The class or number; None if the value says none."""
        if self._is_number:
            return _finite(value)
        text = _text(value)
        found = self._classes.get(text)
        if found is None and (number := _finite(text)) is not None and number.is_integer():
            found = self._classes.get(str(int(number)))
        return found

    @property
    def remedy(self) -> str:
        """What to send, inside a message."""
        return "Send a finite number." if self._is_number else f"Send one of {listed(list(self._classes))}."


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _finite(value: Any) -> float | None:
    """A finite number; -0.0 is 0.0, so that equal labels are written alike."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and (len(value) > _MOST_DIGITS or not _NUMBER.fullmatch(value.strip())):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number + 0.0 if math.isfinite(number) else None

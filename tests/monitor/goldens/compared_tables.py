"""Tables that other products were asked about: made alike wherever Python is, so that only their answers are stored.

`random.Random(...).random()` is promised to give the same numbers in each Python; all else is arithmetic, and rounded.
"""

import random
import zlib
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any, NamedTuple

_TEXT = (
    "the invoice arrived late and a parcel was broken when customer opened it support answered quickly but refund "
    "never came because bank account number changed order delivery driver left package at neighbour door bell rings "
    "twice battery screen keyboard charger cable warranty expired yesterday morning thanks for your patience kind "
    "regards"
)
WORDS = _TEXT.split()
ROWS = (60, 140, 400, 1000, 1001, 1400, 2600)
CURRENT_ROWS = (45, 105, 300, 1000, 1300, 2100)
SHIFTS = (0.0, 0.0, 0.05, 0.1, 0.15, 0.3)
TABLES = 42


class Sides(NamedTuple):
    """One column: its type (float, int, bool, str or text), and both sides' values; None is missing."""

    type: str
    reference: list[Any]
    current: list[Any]


def tables() -> Iterator[dict[str, Sides]]:
    """Tables of all kinds and sizes, some with drift."""
    for seed in range(TABLES):
        rng = random.Random(seed)
        rows = ROWS[seed % len(ROWS)], CURRENT_ROWS[int(rng.random() * len(CURRENT_ROWS))]
        yield {name: _column(rng, draw, kind, rows) for name, (kind, draw) in COLUMNS.items()}


def checksum(table: dict[str, Sides]) -> int:
    """Tells whether a table is the one that was asked about."""
    return zlib.crc32(repr(sorted(table.items())).encode())


def _column(rng: random.Random, draw: Callable[[random.Random, float], Any], kind: str, rows: tuple[int, int]) -> Sides:
    shift = SHIFTS[int(rng.random() * len(SHIFTS))]
    return Sides(kind, [draw(rng, 0.0) for _ in range(rows[0])], [draw(rng, shift) for _ in range(rows[1])])


def _gauss(rng: random.Random, shift: float = 0.0) -> float:
    return NormalDist().inv_cdf(max(rng.random(), 1e-12)) + shift


def _level(rng: random.Random, shift: float, levels: int) -> int:
    """Low numbers are more frequent; a share of rows becomes the second level."""
    return 1 if rng.random() < shift else int(rng.random() ** 2 * levels)


def _sentence(rng: random.Random, shift: float) -> str:
    first = int(len(WORDS) * shift)
    words = WORDS[first : first + len(WORDS) // 2]
    return " ".join(words[int(rng.random() * len(words))] for _ in range(4 + int(rng.random() * 5)))


def _gap(rng: random.Random, value: Any) -> Any:
    return None if rng.random() < 0.1 else value


COLUMNS: dict[str, tuple[str, Callable[[random.Random, float], Any]]] = {
    "normal": ("float", lambda rng, shift: round(_gauss(rng, shift), 6)),
    "rounded": ("float", lambda rng, shift: round(_gauss(rng, shift), 1)),
    "skewed": ("float", lambda rng, shift: round(abs(_gauss(rng, shift)) ** 3, 6)),
    "constant": ("float", lambda rng, shift: 3.5),
    "two numbers": ("float", lambda rng, shift: float(rng.random() < 0.3 + shift)),
    "four numbers": ("float", lambda rng, shift: _level(rng, shift, 4) / 4),
    "six numbers": ("float", lambda rng, shift: _level(rng, shift, 6) / 4),
    "numbers with gaps": ("float", lambda rng, shift: _gap(rng, round(_gauss(rng, shift), 6))),
    "whole": ("int", lambda rng, shift: round(100 * _gauss(rng, shift))),
    "few whole": ("int", lambda rng, shift: _level(rng, shift, 8)),
    "two whole": ("int", lambda rng, shift: _level(rng, shift, 2)),
    "flag": ("bool", lambda rng, shift: rng.random() < 0.2 + shift),
    "two levels": ("str", lambda rng, shift: f"l{_level(rng, shift, 2)}"),
    "levels": ("str", lambda rng, shift: f"l{_level(rng, shift, 12)}"),
    "levels with gaps": ("str", lambda rng, shift: _gap(rng, f"l{_level(rng, shift, 5)}")),
    "new level": ("str", lambda rng, shift: "new" if rng.random() < shift / 10 else f"l{_level(rng, 0, 4)}"),
    "names": ("str", lambda rng, shift: f"n{int(rng.random() * 1e6)}"),
    "text": ("text", _sentence),
}

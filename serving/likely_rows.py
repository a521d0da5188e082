"""Rows such as a model may be asked for, made from its signature: to warm it up and to try it."""

import numpy as np
from numpy.typing import NDArray

from storage.boundary import MISSING_TIME, Blocks
from storage.signature import Column, Signature

_MISSING_SHARE = 0.1
_WORDS = ("a", "the", "new", "sale", "red", "tea", "42", "Öl")


def likely_rows(signature: Signature, rows: int, seed: int = 0) -> Blocks:
    """Random rows: numbers and times within training's range, known categories, words, and a tenth missing."""
    random = np.random.default_rng(seed)
    columns = {column.name: column for column in signature.columns}
    number = [_numbers(columns[name], rows, random) for name in signature.block("number")]
    text = [_texts(columns[name], rows, random) for name in signature.block("text")]
    time = [_times(columns[name], rows, random) for name in signature.block("time")]
    return Blocks(
        np.array(number, dtype=np.float64).reshape(-1, rows).T.copy(),
        np.array(text, dtype=object).reshape(-1, rows).T.copy(),
        np.array(time, dtype=np.int64).reshape(-1, rows).T.copy(),
    )


def _numbers(column: Column, rows: int, random: np.random.Generator) -> NDArray[np.float64]:
    values = _between(column, rows, random)
    if column.dtype.startswith(("Int", "UInt", "Bool")):
        values = np.round(values)
    values[random.random(rows) < _MISSING_SHARE] = np.nan
    return values


def _times(column: Column, rows: int, random: np.random.Generator) -> NDArray[np.int64]:
    values = _between(column, rows, random).astype(np.int64)
    values[random.random(rows) < _MISSING_SHARE] = MISSING_TIME
    return values


def _texts(column: Column, rows: int, random: np.random.Generator) -> list[str]:
    choices = [*column.levels[:50], "never seen", ""]
    if column.kind == "text":
        return [" ".join(random.choice(_WORDS, int(random.integers(0, 9)))) for _ in range(rows)]
    return [choices[at] for at in random.integers(0, len(choices), rows)]


def _between(column: Column, rows: int, random: np.random.Generator) -> NDArray[np.float64]:
    low, high = column.minimum or 0.0, column.maximum or 0.0
    return low + (high - low) * random.random(rows)

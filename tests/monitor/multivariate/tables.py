"""Tables with two columns that go together, others of everything that makes tests go wrong, and ways to break them."""

import numpy as np
import polars as pl
from scipy.signal import lfilter

from monitor.drift import Kind

KINDS: dict[str, Kind] = {"note": "text"}
WORDS = np.array(["good", "bad", "late", "fine", "red", "blue", "seven"])


def draw(seed: int, rows: int, *, together: float = 0.9) -> pl.DataFrame:
    """x and y have this correlation; each for itself is the same whatever it is."""
    rng = np.random.default_rng(seed)
    x, noise, tail = rng.normal(size=(3, rows))
    gone = rng.random(rows) < 0.1
    return pl.DataFrame(
        {
            "x": x,
            "y": together * x + np.sqrt(1 - together**2) * noise,
            "tail": pl.Series(np.exp(2 * tail)).set(pl.Series(gone), None),
            "zeros": np.where(rng.random(rows) < 0.07, rng.exponential(size=rows), 0.0),
            "kind": rng.choice(["a", "b", "c"], size=rows, p=[0.8, 0.1, 0.1]),
            "many": rng.integers(0, 300, rows).astype(str),
            "note": [" ".join(words) for words in rng.choice(WORDS, (rows, 4))],
        }
    )


def hourly(seed: int, rows: int, *, memory: float = 0.9) -> pl.DataFrame:
    """Five columns that remember the row before: stationary autoregressions with variance 1."""
    rng = np.random.default_rng([7, seed])
    steps = rng.normal(size=(rows, 5)) * np.sqrt(1 - memory**2)
    steps[0] = rng.normal(size=5)
    X = lfilter([1], [1, -memory], steps, axis=0)
    return pl.DataFrame(X, schema=[f"x{at}" for at in range(5)])

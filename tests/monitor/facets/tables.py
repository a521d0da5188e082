"""Tables of decisions: who they were on, what became of it, what was said."""

import numpy as np
import polars as pl

from monitor.facets import Choice, Facet

WOMEN = Facet(column="sex", values=("f",))
PAID = Choice(values=("yes",))


def decisions(seed: int, rows: int, *, accepted: tuple[float, float] = (0.6, 0.6), women: float = 0.4) -> pl.DataFrame:
    """Rows of men and women, of whom these shares are said to pay; what they are said is right in four of five."""
    rng = np.random.default_rng(seed)
    is_woman = rng.random(rows) < women
    predicted = rng.random(rows) < np.where(is_woman, accepted[1], accepted[0])
    paid = np.where(rng.random(rows) < 0.8, predicted, ~predicted)
    return pl.DataFrame(
        {
            "sex": np.where(is_woman, "f", "m"),
            "age": rng.integers(18, 80, rows),
            "town": rng.choice(["Ulm", "Bonn", "Rome"], rows),
            "paid": np.where(paid, "yes", "no"),
            "said": np.where(predicted, "yes", "no"),
        }
    )

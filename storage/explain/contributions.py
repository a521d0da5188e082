"""What was found about predictions, as bare numbers: for each row, how much each column added to one output."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from storage.explain.explanation import Method

Values = NDArray[np.float64]


class Contributions(Struct, frozen=True, eq=False):
    """Shapley values of one output of each row: base + the sum of a row's values = its prediction.

    columns: the model's. outputs: (rows,), the class that each row's numbers speak of, or `prediction`. base: float64
    (rows,), the background's mean of that output. values: float64 (rows, columns), in units of the prediction or as
    probabilities; exactly 0 for columns that do not matter. errors: (rows, columns), the standard error of sampled
    values, 0 for exact ones. prediction: (rows,), as the model gives it. methods: how each row's values were found.
    background_rows: against how many rows they were held.
    """

    columns: tuple[str, ...]
    outputs: tuple[str | int, ...]
    base: Values
    values: Values
    errors: Values
    prediction: Values
    methods: tuple[Method, ...]
    background_rows: int

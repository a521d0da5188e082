"""Weights of rows that make up for rare classes."""

import numpy as np
from numpy.typing import NDArray


def balanced_weights(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights by which all classes count alike: rows / (classes that occur * rows of the own class); their mean is 1.

    King and Zeng, "Logistic Regression in Rare Events Data", 2001. y: float64 (rows,), class numbers.

    >>> balanced_weights(np.array([0.0, 0.0, 0.0, 1.0])).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    _, at, counts = np.unique(y, return_inverse=True, return_counts=True)
    return len(y) / (len(counts) * counts[at])

"""The flip test: would a row of the facet have been decided otherwise, had it been one of the others?"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Clarify's: so many neighbours decide, or one where there are few others to choose from.
_NEIGHBOURS, _FEW_OTHERS = 5, 9


def flips(X: Numbers, is_facet: Flags, predicted: Flags) -> NDArray[np.int64]:
    """For each row of the facet 1, 0 or -1: what the model said minus what its nearest neighbours among others got.

    X: float64 (rows, features) without NaN, as it is: columns of large numbers decide which rows are near. is_facet,
    predicted: (rows,). The mean is Clarify's FT, an approximation of "FlipTest" (Black, Yeom and Fredrikson, FAccT
    2020).

    >>> X = np.array([[0.0], [1.0], [0.1], [0.9]])
    >>> flips(X, np.array([False, False, True, True]), np.array([False, True, True, True])).tolist()
    [1, 0]
    """
    from sklearn.neighbors import KNeighborsClassifier

    others = int(np.count_nonzero(~is_facet))
    neighbours = _NEIGHBOURS if others > _FEW_OTHERS else 1
    nearest = KNeighborsClassifier(n_neighbors=neighbours).fit(X[~is_facet], predicted[~is_facet])
    return predicted[is_facet].astype(np.int64) - nearest.predict(X[is_facet]).astype(np.int64)

"""Drift of all columns together: what no column shows for itself, such as a correlation that is gone.

- `classifier.py`: can trees tell current rows from the reference's? They see anything, in some tenths of a second;
- `reconstruction.py`: are rows as near to the reference's main directions? It sees what is linear, at once;
- `columns.py`: what they see of a table; `both.py`: one verdict of both, start reading here.

Decisions:
    A classifier's area under the curve has no constant at which it is large: 0.55 is nothing for 100 rows and certain
    for 10,000. Its null distribution is that of ranks, of rows that it has not learned from.
    LightGBM, on one thread: 40 small trees for 2 × 1,000 rows and 20 columns take 30 ms. It is imported in a function.
    Times are left out, for instants always move forward, and constants, which tell nothing.
"""

from monitor.multivariate.both import MultivariateDrift, multivariate
from monitor.multivariate.classifier import DomainClassifier, domain_classifier
from monitor.multivariate.columns import LeftOut, Told
from monitor.multivariate.reconstruction import Reconstruction, reconstruction

__all__ = [
    "DomainClassifier",
    "LeftOut",
    "MultivariateDrift",
    "Reconstruction",
    "Told",
    "domain_classifier",
    "multivariate",
    "reconstruction",
]

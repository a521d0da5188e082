"""Evidence from counts: how much more likely they are if new variants do harm than if they do not.

A question is asked of each request, such as "did it fail?". A table counts the answers:

              yes         no
    old       k0       n0 - k0
    new       k1       n1 - k1

**Side by side** (`log_ratios`). Say that a request's answer does not depend on which variant it went to. Then, given
n0, n1 and K = k0 + k1, the yeses are a draw of K out of n0 + n1, and k1 is hypergeometric: whatever the rate of yeses
is, however it changes with time, in bursts or by server, as long as variants are drawn by chance, or all requests of a
table are alike. If the odds of a yes are w times those of the old, k1 is Fisher's noncentral hypergeometric. The ratio

    R(w) = P_w(k1 | n0, n1, K) / P_1(k1 | n0, n1, K)

has the mean 1 where there is no difference. It grows with k1, and k1 is stochastically the greater the greater the odds
are, so where the new do better, the mean is at most 1. That makes it an e-value for "the new are not worse", on which
`bets.py` bets. Tables of several servers and steps are independent draws given their margins: their ratios multiply,
and no difference between servers or times can pass for one between variants (Simpson's paradox).

**Before and after** (`log_ratios_above`). Where the old get no requests any more, the new are held to a bound on the
old ones' share u: for each odds w the ratio of n1 Bernoulli answers with share wu / (1 - u + wu) to the share u. Its
mean is at most 1 if the true share is at most u. This assumes that traffic goes on as it was.

Sources: Fisher (1935), "The logic of inductive inference"; Turner, Ly & Grünwald (2024), "Generic E-variables for exact
sequential k-sample tests that allow for optional stopping" (the 2x2 table); Ramdas, Grünwald, Vovk & Shafer (2023),
"Game-theoretic statistics and safe anytime-valid inference" (e-values; why they multiply).
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: The odds that are bet on, from a fiftieth more to five hundred times as many. Each logarithm is half as much again as
#: the one before, so that each fault is near to one: a bet on that wins nearly what one on the fault itself would.
ODDS: NDArray[np.float64] = np.exp(np.geomspace(0.02, 6.2, 16))

_LOG_ODDS = np.log(ODDS)

Floats = NDArray[np.float64]


def log_ratios(n0: int, k0: int, n1: int, k1: int) -> Floats:
    """The logarithms of R(w) for each of `ODDS`; zeros where the table tells nothing.

    >>> float(log_ratios(90, 0, 10, 3).max()) > 6, float(log_ratios(90, 9, 10, 0).max()) < 0
    (True, True)
    """
    n, total = n0 + n1, k0 + k1
    if not (n0 and n1 and 0 < total < n):
        return np.zeros_like(ODDS)
    ks = np.arange(max(0, total - n0), min(n1, total) + 1)
    logs = _log_choose(n1, ks) + _log_choose(n0, total - ks)
    logs -= _log_sum(logs)
    return k1 * _LOG_ODDS - _log_sum(logs[:, None] + ks[:, None] * _LOG_ODDS)


def log_ratios_above(bound: float, n: int, k: int) -> Floats:
    """The logarithms of the ratios of n answers, k of them yes, to a share `bound`; zeros if that excludes nothing.

    >>> float(log_ratios_above(0.01, 100, 9).max()) > 5, float(log_ratios_above(1.0, 100, 100).max())
    (True, 0.0)
    """
    if not 0 < bound < 1 or not n:
        return np.zeros_like(ODDS)
    return k * _LOG_ODDS - n * np.log1p(bound * (ODDS - 1))


def upper_bound(n: int, k: int, delta: float) -> float:
    """What the true share of yeses exceeds with a chance of at most delta, given k yeses of n.

    The largest q with n kl(k/n, q) <= log(1/delta): Chernoff's bound (Hoeffding 1963, theorem 1).

    >>> upper_bound(0, 0, 0.01), round(upper_bound(500, 25, 0.01), 3)
    (1.0, 0.085)
    """
    if not n:
        return 1.0
    share, low, high = k / n, k / n, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if n * _kl(share, middle) <= math.log(1 / delta) else (low, middle)
    return high


def _kl(p: float, q: float) -> float:
    """Kullback-Leibler divergence of two shares, for p <= q."""
    if q >= 1:
        return math.inf if p < 1 else 0.0
    yes = p * math.log(p / q) if p else 0.0
    return yes + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)


def _log_choose(n: int, k: NDArray[np.int64]) -> Floats:
    logs = _log_factorials(max(1024, 1 << n.bit_length()))
    return logs[n] - logs[k] - logs[n - k]


@lru_cache(maxsize=32)
def _log_factorials(count: int) -> Floats:
    """Of 0 to count - 1. It doubles with n, so that few are ever made."""
    return np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, count)))))


def _log_sum(logs: Floats) -> Floats:
    """The logarithm of a sum along the first axis."""
    most = logs.max(axis=0)
    return most + np.log(np.exp(logs - most).sum(axis=0))

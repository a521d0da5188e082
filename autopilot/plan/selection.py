"""Which features beat a random probe."""

import numpy as np
from numpy.typing import NDArray

from autopilot.plan.op import Target

_SAMPLE_ROWS = 20_000
_LEAST_ROWS = 2_000
_PROBES = 5
_ROUNDS = 60


def select(X: NDArray[np.float32], target: Target, seed: int) -> tuple[int, ...]:
    """The features that trees find more use for than for noise.

    X: float32 (rows, features), out of fold. Beside them stand five probes, copies of features with their rows
    shuffled: of like distribution and of no use. A small boosted model is trained on at most 20,000 rows, and what
    gains less over all its cuts than the probes in the mean is dropped (Stoppiglia et al., "Ranking a random feature
    for variable and feature selection", 2003). All are kept where none does better, and on fewer than 2,000 rows: there
    noise gains as much as weak features do, and dropping these cost 0.008 of roc_auc on 670 rows.
    """
    if len(X) < _LEAST_ROWS:
        return tuple(range(X.shape[1]))
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(X))[:_SAMPLE_ROWS]
    sample = X[rows]
    copied = rng.integers(0, X.shape[1], _PROBES)
    probes = np.column_stack([rng.permutation(sample[:, column]) for column in copied])
    gains = _gains(np.hstack([sample, probes]), target, rows, seed)
    kept = np.flatnonzero(gains[: X.shape[1]] > gains[X.shape[1] :].mean())
    return tuple((kept if len(kept) else np.arange(X.shape[1])).tolist())


def _gains(X: NDArray[np.float32], target: Target, rows: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """The loss that each feature's cuts take away: (features,)."""
    import lightgbm

    settings: dict[str, object] = {
        "objective": "regression" if target.outputs == 1 else "binary" if target.outputs == 2 else "multiclass",
        "num_leaves": 15,
        "learning_rate": 0.15,
        "feature_fraction": 0.5,
        "num_threads": 1,
        "seed": seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    if target.outputs > 2:
        settings["num_class"] = target.outputs
    rounds = max(5, _ROUNDS // max(1, target.outputs - 1))
    weights = None if target.weights is None else target.weights[rows]
    booster = lightgbm.train(settings, lightgbm.Dataset(X, target.y[rows], weight=weights), rounds)
    return np.asarray(booster.feature_importance("gain"), dtype=np.float64)

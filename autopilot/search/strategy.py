"""Which means a search uses."""

from msgspec import Struct


class Strategy(Struct, frozen=True):
    """All means by default; `bench.ablation` takes them away one by one to see what each is worth.

    portfolio: a list of good points comes first; without, each family begins with one of them. tpe: families are tuned
    after that. racing: trials that are far behind are given up. ensemble: members are averaged; without, the best trial
    alone is published. head: calibration and thresholds are fitted. max_trials: no more are begun, the constant guess
    aside. patience: trials without a better ensemble, after the portfolio, until the search ends; None for never.
    keep_models: the fitted models of all folds are kept.
    """

    portfolio: bool = True
    tpe: bool = True
    racing: bool = True
    ensemble: bool = True
    head: bool = True
    max_trials: int | None = None
    patience: int | None = None
    keep_models: bool = False

"""hyperopt's TPE, driven by ask and tell.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011. Trials that were asked and not told yet
count as bad ones inside hyperopt, so that several can run at once and spread out.
"""

import logging
import math
from typing import Any

import numpy as np
from hyperopt import STATUS_FAIL, STATUS_OK, Trials, hp, tpe
from hyperopt.base import JOB_STATE_DONE, Domain

from autopilot.search.space import CategoricalParameter, IntegerParameter, Parameter, Params, Space

logging.getLogger("hyperopt").setLevel(logging.WARNING)  # it logs each suggestion

#: Random suggestions before the first model of the objective; the portfolio's points are already known then.
_STARTUP = 8


class Tpe:
    """Suggests parameters of one family: points that are given, or what TPE expects most of.

    A space without parameters always gives the empty dictionary.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._trials = Trials()
        labels = {name: _expression(name, parameter) for name, parameter in space.items()}
        self._domain = Domain(None, labels, pass_expr_memo_ctrl=False) if space else None
        self._rng = np.random.default_rng(seed)

    def ask(self, point: Params | None = None) -> tuple[int, Params]:
        """The next parameters, and a number to `tell` by. point: what to try, in place of a suggestion."""
        ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        if self._domain is None:
            return ids[0], {}
        if point is not None:
            docs = self._document(ids[0], point, self._domain)
        else:
            seed = int(self._rng.integers(2**31 - 1))
            docs = tpe.suggest(ids, self._domain, self._trials, seed, n_startup_jobs=_STARTUP)
        self._trials.insert_trial_docs(docs)
        self._trials.refresh()
        values = {name: value[0] for name, value in docs[0]["misc"]["vals"].items()}
        return ids[0], {name: _decode(parameter, values[name]) for name, parameter in self._space.items()}

    def skip(self) -> None:
        """Pass over a draw that an earlier process made, so that its suggestion is not made again."""
        self._rng.integers(2**31 - 1)

    def tell(self, number: int, loss: float | None) -> None:
        """What became of a suggestion; None or a loss that is not finite means that it failed."""
        failed = loss is None or not math.isfinite(loss)
        result = {"status": STATUS_FAIL} if failed else {"status": STATUS_OK, "loss": loss}
        for document in self._trials._dynamic_trials:  # pyright: ignore[reportPrivateUsage] - no other way to tell
            if document["tid"] == number:
                document["state"] = JOB_STATE_DONE
                document["result"] = result
        self._trials.refresh()

    def _document(self, number: int, point: Params, domain: Domain) -> list[Any]:
        """hyperopt's record of a trial whose parameters we chose."""
        values = {name: [_encode(self._space[name], point[name])] for name in self._space}
        misc = {
            "tid": number,
            "cmd": domain.cmd,
            "workdir": domain.workdir,
            "idxs": {name: [number] for name in self._space},
            "vals": values,
        }
        return self._trials.new_trial_docs([number], [None], [domain.new_result()], [misc])


def _expression(name: str, parameter: Parameter) -> Any:
    if isinstance(parameter, CategoricalParameter):
        return hp.choice(name, list(range(len(parameter.values))))
    low, high = float(parameter.low), float(parameter.high)
    if isinstance(parameter, IntegerParameter):
        low, high = low - 0.499, high + 0.499
    if parameter.scale == "logarithmic":
        return hp.loguniform(name, math.log(low), math.log(high))
    return hp.uniform(name, low, high)


def _decode(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, CategoricalParameter):
        return parameter.values[int(value)]
    return round(float(value)) if isinstance(parameter, IntegerParameter) else float(value)


def _encode(parameter: Parameter, value: Any) -> Any:
    return parameter.values.index(value) if isinstance(parameter, CategoricalParameter) else float(value)

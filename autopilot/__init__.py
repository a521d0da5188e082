"""Autopilot: a table in, a served and watched model out.

This package trains: data in, model version out. It also holds the command line, which starts the servers of `serving`
and `monitor` as processes of their own and never imports them.

    fit.py        the main job in one function; start reading here
    table/        reading tables, and what each column is
    plan/         features, rendered in Polars and in ONNX
    candidates/   families of models    search/       which is tried next, and the ensemble
    workers/      processes that do tasks: killable, limited, local or on Dask
    training.py   the steps of a run    safe.py, registered.py   a valid model from the start
    tape.py       what happened in it   resume.py, replay.py, jobs.py   going on, doing it again, steering from outside
    graph/        the ONNX file and its parity gate
    guardrails/   what is wrong with a table, told before anything is trained on it
    explain/      why a model says what it says    notebooks/   a run as two notebooks that run as they are
    report/       the report on a run: evidence, charts, the page
    publish.py    from the best trials to a registered version
    sklearn.py    the same as scikit-learn's estimators
    client/       asking a server: the control plane and predictions, waited for or awaited
    process.py    one processing step on a table
    card.py       what a model file tells of itself       verify.py     does it still give its answers?
    cli.py        the command line

What may not live here: what answers HTTP, drift, SQL.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autopilot.client import AsyncClient, Client
    from autopilot.endpoint import Endpoint
    from autopilot.fit import fit
    from autopilot.guardrails import guard
    from autopilot.load import load
    from autopilot.metrics import Metric
    from autopilot.process import FittedStep, process
    from autopilot.replay import replay
    from autopilot.result import Result
    from autopilot.resume import resume
    from autopilot.search.space import CategoricalParameter, ContinuousParameter, IntegerParameter
    from autopilot.table.infer import infer
    from autopilot.table.read import read
    from autopilot.table.roles import Roles
    from autopilot.verify import verify

__version__ = "0.1.0"

#: Where each public name lives; imported when first used, so that `import autopilot` takes milliseconds.
_HOMES = {
    "AsyncClient": "autopilot.client",
    "CategoricalParameter": "autopilot.search.space",
    "Client": "autopilot.client",
    "ContinuousParameter": "autopilot.search.space",
    "Endpoint": "autopilot.endpoint",
    "FittedStep": "autopilot.process",
    "IntegerParameter": "autopilot.search.space",
    "Metric": "autopilot.metrics",
    "Result": "autopilot.result",
    "Roles": "autopilot.table.roles",
    "fit": "autopilot.fit",
    "guard": "autopilot.guardrails",
    "infer": "autopilot.table.infer",
    "load": "autopilot.load",
    "process": "autopilot.process",
    "read": "autopilot.table.read",
    "replay": "autopilot.replay",
    "resume": "autopilot.resume",
    "verify": "autopilot.verify",
}

__all__ = [
    "AsyncClient",
    "CategoricalParameter",
    "Client",
    "ContinuousParameter",
    "Endpoint",
    "FittedStep",
    "IntegerParameter",
    "Metric",
    "Result",
    "Roles",
    "fit",
    "guard",
    "infer",
    "load",
    "process",
    "read",
    "replay",
    "resume",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "sklearn":
        return import_module("autopilot.sklearn")
    if name not in _HOMES:
        raise AttributeError(f"module 'autopilot' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """Keeps `autopilot.fit` the function: importing the file fit.py would put the module in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, "sklearn"])

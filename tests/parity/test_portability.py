"""The same file in runtimes that nobody here wrote: onnxruntime-web (WebAssembly) under Node.js, and onnx.reference."""

import json
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops.aionnxml.op_tree_ensemble_regressor import TreeEnsembleRegressor as ReferenceTrees

from autopilot.candidates import CANDIDATES
from autopilot.candidates.candidate import Problem
from autopilot.card import STANDARD, operators_of
from autopilot.graph.graph import OPSETS
from autopilot.graph.parity import hostile_rows, portable_feeds
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan, Recipe
from autopilot.plan.op import Target
from autopilot.plan.recipes import RECIPES
from autopilot.search.matrices import Unit
from autopilot.table.infer import Table, infer
from autopilot.vectors import decoded, encoded, replay
from storage.boundary import blocks_of_frame
from tests import tables
from tests.parity.test_candidates import job_of

WEB = Path(__file__).parent / "web"
RUNTIME = "onnxruntime-web 1.30.0"
TABLES = {
    "binary": infer(tables.mixed(300), "paid", columns={"note": "text"}),
    "multiclass": infer(tables.multiclass(300), "grade", columns={"note": "text"}),
    "regression": infer(tables.regression(300), "price", columns={"note": "text"}),
}
each_task = pytest.mark.parametrize("task", TABLES)
Rows = dict[str, NDArray[Any]]


class Exported:
    """A model of all candidates, as a file, and rows to run through it."""

    def __init__(self, table: Table) -> None:
        signature = table.signature
        unit = Unit() if signature.classes else Unit(float(table.y.mean()), float(table.y.std()))
        y = unit.scale(table.y)
        target = Target(y, max(1, len(signature.classes)))
        self.table = table
        self.plans: dict[Recipe, Plan] = {}
        matrices = {}
        for recipe in RECIPES:
            self.plans[recipe], matrices[recipe] = Plan.fit(table.frame, signature, recipe, target, seed=0)
        members = []
        problem = Problem(signature.task, target.outputs, len(y))
        applying = [candidate for candidate in CANDIDATES if candidate.applies(problem)]
        for candidate in applying:
            fitted = candidate.fit(job_of(candidate, signature.task, matrices[candidate.recipe], y, rounds=8))
            members.append(TrainedMember(fitted, candidate.recipe, 1 / len(applying)))
        self.graph = TrainedModel(signature, self.plans, tuple(members), unit).export()
        self.file = self.graph.SerializeToString()

    def feeds(self, *, nul: bool = False) -> Rows:
        """Hostile rows, and real ones with their words in capitals and tabs between them; NUL inside only if asked."""
        real = self.table.frame.head(30)
        texts = pl.col(pl.String)
        odd = [real.with_columns(texts.str.to_uppercase()), real.with_columns(texts.str.replace_all(" ", "\t"))]
        frame = pl.concat([hostile_rows(self.table.signature, real, seed=0).frame, *odd])
        if not nul:
            frame = frame.filter(~pl.any_horizontal(texts.str.contains("\0", literal=True).fill_null(value=False)))
        return portable_feeds(self.table.signature, blocks_of_frame(self.table.signature, frame))


def inputs_of(feeds: Rows) -> dict[str, list[Any]]:
    """Feeds as JSON holds them."""
    return {name: encoded(values.reshape(-1)) for name, values in feeds.items()}


@pytest.fixture(scope="module")
def exported() -> dict[str, Exported]:
    """A file for each task."""
    return {task: Exported(table) for task, table in TABLES.items()}


def answers_agree(found: Rows, expected: Rows, classes: bool) -> None:
    """Labels are equal, probabilities within 1e-6, and values within 1e-6 of their range."""
    if classes:
        assert found["label"].astype(str).tolist() == expected["label"].astype(str).tolist()
        assert found["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)
    else:
        span = float(np.ptp(expected["prediction"]))
        assert found["prediction"].reshape(-1) == pytest.approx(expected["prediction"], abs=1e-6 * span)


# ------------------------------------------------------------------------------------------------------ WebAssembly


@pytest.fixture(scope="module")
def web() -> Iterator[Path]:
    """A folder with the WebAssembly runtime and `replay.mjs`; installed once into the user's cache (148 MB)."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed, so the file was not tried in {RUNTIME}")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "autopilot-tests"
    folder = cache / RUNTIME.replace(" ", "-")
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as fresh:
            install(Path(fresh) / "whole")
            (Path(fresh) / "whole").rename(folder)
    shutil.copy(WEB / "replay.mjs", folder)
    return folder


def install(folder: Path) -> None:
    """The locked runtime; skips the test where the registry cannot be reached."""
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(WEB / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install {RUNTIME}, so the file was not tried in it: {done.stderr[-300:]}")


def replay_in_web(web: Path, folder: Path, file: bytes, inputs: dict[str, list[Any]]) -> Rows:
    """What WebAssembly gives."""
    (folder / "m.onnx").write_bytes(file)
    done = subprocess.run(
        ["node", "--liftoff-only", str(web / "replay.mjs"), str(folder / "m.onnx")],
        input=json.dumps(inputs).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    outputs = json.loads(done.stdout)
    return {name: decoded(values, object if name == "label" else np.float64) for name, values in outputs.items()}


@each_task
def test_webassembly_gives_what_onnxruntime_gives(
    web: Path, exported: dict[str, Exported], task: str, tmp_path: Path
) -> None:
    """Text, nulls, infinities, times before 1970 and beyond 2100; a text with NUL is the next test's."""
    model = exported[task]
    inputs = inputs_of(model.feeds())
    found = replay_in_web(web, tmp_path, model.file, inputs)
    answers_agree(found, replay(model.file, inputs), task != "regression")


def test_webassembly_ends_a_text_at_nul(web: Path, exported: dict[str, Exported], tmp_path: Path) -> None:
    """Its boundary hands texts over as C does, so a text with NUL is its part before; nothing in a file can mend it."""
    model = exported["binary"]
    inputs = inputs_of(model.feeds(nul=True))
    cut = {name: [text_until_nul(value) for value in values] for name, values in inputs.items()}
    assert cut != inputs
    found = replay_in_web(web, tmp_path, model.file, inputs)
    answers_agree(found, replay(model.file, cut), classes=True)


def text_until_nul(value: Any) -> Any:
    return value.partition("\0")[0] if isinstance(value, str) else value


def test_the_lock_names_no_place_to_fetch_from() -> None:
    """Each machine knows its own."""
    lock = json.loads((WEB / "package-lock.json").read_text())
    assert all("resolved" not in package for package in lock["packages"].values())
    assert lock["packages"]["node_modules/onnxruntime-web"]["version"] == RUNTIME.split()[1]


# --------------------------------------------------------------------------------------------- onnx.reference


class TreeEnsembleRegressor(ReferenceTrees):
    """Takes thresholds and leaves in float64.

    The reference's own lacks `nodes_values_as_tensor` and `target_weights_as_tensor`, and gives float64 for float64
    where the specification says float32: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html.
    """

    def _run(self, X: Any, **attributes: Any) -> tuple[Any]:
        if attributes.get("nodes_values_as_tensor") is not None:
            attributes["nodes_values"] = attributes.pop("nodes_values_as_tensor")
            attributes["target_weights"] = attributes.pop("target_weights_as_tensor")
        (found,) = super()._run(X, **attributes)
        return (found.astype(np.float32),)


@each_task
def test_the_reference_implementation_gives_what_onnxruntime_gives(exported: dict[str, Exported], task: str) -> None:
    """The specification as code. What it has wrong is mended above, with the reason, and nothing else is.

    An operator that it reads otherwise than onnxruntime is not for our files: StringNormalizer (which removes accents
    here, and lower-cases beyond ASCII in WebAssembly alone), StringSplit without a delimiter (any white space or " ").
    """
    model = exported[task]
    feeds = model.feeds()
    evaluator = ReferenceEvaluator(model.graph, new_ops=[TreeEnsembleRegressor])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy warns of what IEEE 754 defines: infinities, NaN
        found: Any = dict(zip(evaluator.output_names, evaluator.run(None, feeds), strict=True))
    answers_agree(found, replay(model.file, inputs_of(feeds)), task != "regression")


# ---------------------------------------------------------------------------------------------- standard operators


@each_task
def test_all_operators_are_standard(exported: dict[str, Exported], task: str) -> None:
    """Of every recipe and every candidate: no operator is onnxruntime's own."""
    model = exported[task]
    assert set(model.plans) == set(RECIPES)
    assert {name.rpartition(".")[0] for name in operators_of(model.graph)} <= set(STANDARD)
    assert {opset.domain: opset.version for opset in model.graph.opset_import} == OPSETS

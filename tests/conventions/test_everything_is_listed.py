"""What is in a folder is listed where readers and programs look for it."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import autopilot
from autopilot.candidates import CANDIDATES
from autopilot.cli import app, monitor
from autopilot.endpoint_commands import endpoints
from autopilot.model_commands import models
from autopilot.plan.ops import OPS
from autopilot.plan.recipes import RECIPES
from autopilot.process import STEPS
from storage.settings import Settings

ROOT = Path(autopilot.__file__).parent.parent
PACKAGES = ("autopilot", "serving", "monitor", "storage")


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (path for path in sorted((ROOT / package).rglob("*.py")) if "migrations" not in path.parts)


def modules_in(package: str) -> set[str]:
    found = importlib.import_module(package)
    return {module.name for module in pkgutil.iter_modules(found.__path__)}


def test_each_file_of_an_op_is_listed() -> None:
    """Every file is an op."""
    assert {op.__module__.rpartition(".")[2] for op in OPS} == modules_in("autopilot.plan.ops")


def test_each_op_feeds_some_recipe() -> None:
    """Or is a processing step of its own; an op that is neither is dead code."""
    used = {op for ops in RECIPES.values() for op in ops}
    assert used | set(STEPS.values()) == set(OPS)


def test_each_file_of_a_candidate_is_listed() -> None:
    """Every file is one, but those that say what one is, that several share, or that are a part or a wrapper of one."""
    listed = {type(candidate).__module__.rpartition(".")[2] for candidate in CANDIDATES}
    assert listed == modules_in("autopilot.candidates") - {
        "boosting",
        "candidate",
        "forest",
        "narrowed",
        "perceptron_numpy",
        "perceptron_torch",
    }


def test_each_public_name_resolves() -> None:
    """`autopilot.__all__` is what `dir` shows and what can be had."""
    for name in autopilot.__all__:
        assert getattr(autopilot, name) is not None
        assert name in dir(autopilot)


def test_fit_stays_a_function_after_its_file_was_imported() -> None:
    """`import autopilot.fit` binds the file's name in the package; users want the function."""
    importlib.import_module("autopilot.fit")
    importlib.import_module("autopilot.load")
    assert callable(autopilot.fit)
    assert not isinstance(autopilot.fit, ModuleType)
    assert not isinstance(autopilot.load, ModuleType)


def test_importing_autopilot_loads_nothing_heavy() -> None:
    """What costs 100 ms or more is loaded when it is used."""
    heavy = ["polars", "numpy", "sklearn", "lightgbm", "hyperopt", "onnx", "onnxruntime", "litestar", "sqlalchemy"]
    heavy += ["httpx", "msgspec"]
    code = f"import sys, autopilot; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["fit", "resume"])
def test_what_trains_is_loaded_within_the_budget(name: str) -> None:
    """The first use of a function loads its file, before its clock begins: that takes no second."""
    heavy = ["sklearn", "lightgbm", "hyperopt", "onnx", "onnxruntime", "scipy", "pandas"]
    code = f"import sys, autopilot; autopilot.{name}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_public_thing_says_what_it_is(path: Path) -> None:
    """Modules, public classes and public functions have docstrings."""
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module has no docstring"
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_each_setting_is_described() -> None:
    """The docstring of Settings is where a user reads what a setting does."""
    for name in Settings.__struct_fields__:
        assert re.search(rf"^\s*{name}: ", Settings.__doc__ or "", re.MULTILINE), name


def test_each_command_is_described_and_in_the_readme() -> None:
    """`autopilot --help` and the README know the same commands."""
    readme = (ROOT / "README.md").read_text()
    for group in (app, monitor, endpoints, models):
        for name in group:
            if not name.startswith("-"):
                assert group[name].help, name
                assert re.search(rf"\b{name}\b", readme), name


@pytest.mark.parametrize("package", PACKAGES)
def test_each_error_is_drawn_in_its_packages_tree(package: str) -> None:
    """The tree on top of errors.py is the map; a class that it lacks is lost."""
    path = ROOT / package / "errors.py"
    if not path.exists():
        pytest.skip(f"{package} has no errors of its own")
    tree = ast.parse(path.read_text())
    drawn = ast.get_docstring(tree) or ""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            assert re.search(rf"\b{node.name}\b", drawn), node.name

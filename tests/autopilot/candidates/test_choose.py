"""Candidates by name: in Python, on the command line, and where a library is missing."""

import json
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

import autopilot
from autopilot import candidates
from autopilot.__main__ import run
from autopilot.candidates import CANDIDATES, DEFAULT_CANDIDATES, choose
from autopilot.candidates.candidate import Problem
from autopilot.candidates.linear import Linear
from storage.errors import InputError
from storage.signature import Task

ROWS = pl.DataFrame({"x": [number % 10 for number in range(200)], "y": [number % 10 > 4 for number in range(200)]})


def test_without_a_choice_all_usual_ones_are_tried() -> None:
    """With the extras that are installed; two others are for those who ask for them."""
    others = {candidate.name for candidate in CANDIDATES} - {candidate.name for candidate in choose(None)}
    missing = {name for name in ("catboost", "xgboost") if find_spec(name) is None}
    assert others == {"gradient_boosting", "histogram_boosting"} | missing


def test_without_the_extras_their_candidates_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else changes."""
    monkeypatch.setattr(candidates, "find_spec", lambda library: None)
    names = [candidate.name for candidate in choose(None)]
    assert names == [one.name for one in DEFAULT_CANDIDATES if one.name not in ("catboost", "xgboost")]


@pytest.mark.parametrize(
    ("rows", "task", "outputs", "absent"),
    [
        (1000, "binary", 2, set()),
        (1000, "regression", 1, {"naive_bayes"}),
        (20_000, "binary", 2, {"nearest_neighbours", "support_vectors"}),
        (1000, "multiclass", 40, {"extra_trees", "random_forest", "support_vectors"}),
    ],
)
def test_size_and_task_decide_which_apply(rows: int, task: Task, outputs: int, absent: set[str]) -> None:
    """Of the default ones."""
    problem = Problem(task, outputs, rows)
    assert {one.name for one in choose(None) if not one.applies(problem)} - {"catboost", "xgboost"} == absent


def test_names_and_objects_mix_and_each_is_tried_once() -> None:
    """In the order given."""
    chosen = choose(["random_forest", Linear(), "linear", "random_forest"])
    assert [candidate.name for candidate in chosen] == ["random_forest", "linear"]


def test_each_candidate_has_a_name_of_its_own() -> None:
    """Else one could not be chosen."""
    names = [candidate.name for candidate in CANDIDATES]
    assert len(set(names)) == len(names)
    assert choose(names) == CANDIDATES


def test_an_unknown_name_gets_the_list() -> None:
    """The message is made of the registry itself."""
    with pytest.raises(InputError, match=r"There is no candidate 'lightgmb'\. Use one of baseline, linear, lightgbm,"):
        choose(["lightgmb"])
    with pytest.raises(InputError, match="No candidate is given"):
        choose([])


@pytest.mark.parametrize("name", ["xgboost", "catboost"])
def test_a_missing_library_gets_the_command_that_installs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were not there; and where candidates are all tried, it does not apply."""
    monkeypatch.setattr(candidates, "find_spec", lambda library: None)
    with pytest.raises(InputError, match=r"not installed\. Run: pip install 'autopilot\[boost\]'"):
        choose(["baseline", name])


class Half:
    """Has a name and a recipe, and nothing else."""

    name, recipe = "half", "trees"

    def __repr__(self) -> str:
        return "Half()"


class Foreign(Linear):
    """Reads what there is not."""

    recipe = "graphs"  # pyright: ignore[reportAssignmentType]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Half(), r"The candidate Half\(\) lacks applies, space, points, fit\. A candidate has name, recipe,"),
        (17, "The candidate 17 lacks name, recipe, applies"),
        (Linear, r"The candidate Linear is a class\. Give an object of it: Linear\(\)\."),
        (Foreign(), r"'linear' reads the recipe 'graphs'\. Use one of trees, prepared, linear, dense\."),
    ],
)
def test_what_is_no_candidate_is_refused(given: object, message: str) -> None:
    """With what it lacks."""
    with pytest.raises(InputError, match=message):
        choose(["baseline", given])  # pyright: ignore[reportArgumentType]


def test_the_extra_is_not_imported_before_it_is_used() -> None:
    """Listing candidates works without it, and costs nothing with it."""
    from tests.processes import run as run_script

    script = """if True:
        import sys, autopilot.candidates
        print([name for name in ('xgboost', 'catboost', 'torch') if name in sys.modules])"""
    assert run_script(script).strip() == "[]"


def test_fit_tries_what_it_is_told(tmp_path: Path) -> None:
    """By name and as an object."""
    result = autopilot.fit(
        ROWS,
        "y",
        budget=60,
        max_trials=2,
        store=tmp_path,
        progress=False,
        columns={"x": "number"},
        candidates=["baseline", Linear()],
    )
    assert set(result.leaderboard["candidate"]) == {"baseline", "linear"}


def test_fit_refuses_an_unknown_name_before_it_begins(tmp_path: Path) -> None:
    """No run is written down."""
    with pytest.raises(InputError, match="no candidate 'forest'"):
        autopilot.fit(ROWS, "y", budget=4, store=tmp_path / "store", progress=False, candidates=["forest"])
    assert not (tmp_path / "store").exists()


def test_the_command_line_takes_the_option_several_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--candidate baseline --candidate linear`."""
    data, store = tmp_path / "rows.csv", str(tmp_path / "store")
    ROWS.write_csv(data)
    fit = ["fit", str(data), "--target", "y", "--budget", "60s", "--max-trials", "2", "--store", store, "--json"]
    assert run([*fit, "--candidate", "baseline", "--candidate", "linear"]) == 0
    board = json.loads(capsys.readouterr().out)["leaderboard"]
    assert {trial["candidate"] for trial in board} == {"baseline", "linear"}
    assert run([*fit, "--candidate", "nothing"]) == 2
    assert "There is no candidate 'nothing'" in capsys.readouterr().err

"""The notebooks of real runs, run as a user runs them: in a fresh kernel, from top to bottom."""

import ast
import asyncio
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import polars as pl
import pytest
import vl_convert
from msgspec.structs import replace
from nbclient import NotebookClient

import autopilot
from autopilot import Result
from autopilot.events import Asked, Checked
from autopilot.notebooks import subject as subjects
from autopilot.notebooks import write_notebooks
from autopilot.notebooks.candidate import candidate_of
from autopilot.notebooks.subject import Source, Subject
from storage import InputError, Store
from storage.records import Member
from tests import tables
from tests.records import run
from tests.refusals import raises

pytestmark = pytest.mark.slow

#: Names that would break code, Markdown, templates, charts or frames, if they were anything but data.
ODD = (
    "class",
    'a"b',
    "it's \\ back",
    "new\nline",
    "{{ jinja }}",
    "{% if %}",
    "`tick` $x$ _y_",
    "<b>東京</b>",
    "a.b[0]:Q",
    "value",
    "rows",
    "part",
    "y0",
    "\n```python\nraise SystemExit\n```\n",
)
TARGET = 'a `target`\n"""of three'


class Ran(NamedTuple):
    """A run, its notebooks, and their cells after each ran in a kernel of its own."""

    result: Result
    folder: Path
    exploration: list[Any]
    candidate: list[Any]


@pytest.fixture(scope="module")
def ran(fitted: Result, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ran]]:
    """Three runs, whose six notebooks run at once: most of their time is that of starting processes."""
    folder = tmp_path_factory.mktemp("notebooks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOPILOT_THREADS", "1")
        in_order, odd = run_in_order(folder / "in_order"), run_odd(folder / "odd")
        pairs = {
            "binary": (fitted, write_notebooks(fitted.store, fitted.run, folder / "binary", data=tables.mixed(400))),
            "in order": (in_order, write_notebooks(in_order.store, in_order.run, folder / "in_order" / "new")),
            "odd": (odd, write_notebooks(odd.store, odd.run, folder / "odd", data=odd_table())),
        }
        cells = iter(asyncio.run(executed([path for _, paths in pairs.values() for path in paths])))
    yield {name: Ran(result, paths[0].parent, next(cells), next(cells)) for name, (result, paths) in pairs.items()}
    in_order.store.close()
    odd.store.close()


async def executed(paths: list[Path]) -> list[list[Any]]:
    """The cells of notebooks that ran in their folders. Raises where a cell fails."""
    clients = [
        NotebookClient(
            nbformat.reads(path.read_text(encoding="utf-8"), as_version=4),
            timeout=600,
            resources={"metadata": {"path": str(path.parent)}},
        )
        for path in paths
    ]
    return [notebook.cells for notebook in await asyncio.gather(*(client.async_execute() for client in clients))]


def run_in_order(folder: Path) -> Result:
    """Regression on a file, in the order of time, with much that the user says of the table."""
    folder.mkdir()
    whole = pl.read_parquet(files("autopilot").joinpath("demo_data/flights.parquet").read_bytes())
    whole.sample(600, seed=1).write_csv(folder / "flights.csv", separator=";")
    return autopilot.fit(
        folder / "flights.csv",
        "temperature",
        delimiter=";",
        time="scheduled_departure",
        ignore=["late"],
        columns={"plane_seats": "category"},
        candidates=["linear"],
        max_trials=1,
        budget=1200,  # for as many folds as the rows may have, on any machine
        store=folder / "store",
        progress=False,
    )


def run_odd(folder: Path) -> Result:
    """Three classes, in memory, and odd names."""
    return autopilot.fit(
        odd_table(),
        TARGET,
        name="odd",
        candidates=["linear"],
        max_trials=1,
        budget=1200,  # for as many folds as the rows may have, on any machine
        store=folder / "store",
        progress=False,
    )


def outputs(cells: list[Any]) -> Iterator[Any]:
    return (output for cell in cells if cell.cell_type == "code" for output in cell.outputs)


def printed(cells: list[Any]) -> str:
    return "".join(output.text for output in outputs(cells) if output.output_type == "stream")


def charts(cells: list[Any]) -> list[dict[str, Any]]:
    """The Vega-Lite documents in its output."""
    pages = [output.data.get("text/html", "") for output in outputs(cells) if "data" in output]
    found = [re.search(r"\}\)\((\{.*\}), \{.*?\}\);\s*</script>", page, re.DOTALL) for page in pages]
    return [json.loads(match[1]) for match in found if match]


def shown_after(cells: list[Any], words: str) -> str:
    """The text of what the cell shows that has these words."""
    (cell,) = [cell for cell in cells if cell.cell_type == "code" and words in cell.source]
    return cell.outputs[-1].data["text/plain"]


def odd_table(rows: int = 240) -> pl.DataFrame:
    """Numbers and levels by turns, and three classes that the second column tells."""
    levels, number = pl.Series(["a", 'b"', "c\n", "`d`"]), pl.int_range(rows, eager=True)
    drawn = [number.hash(seed=at) for at in range(len(ODD))]
    frame = pl.DataFrame(
        [
            (drawn[at] % 1000 / 100).alias(name) if at % 2 else levels.gather(drawn[at] % 4).alias(name)
            for at, name in enumerate(ODD)
        ]
    )
    second = frame.get_column(ODD[1])
    classes = pl.select(
        pl.when(second > 7).then(pl.lit("yes'")).when(second > 3).then(pl.lit("rows")).otherwise(pl.lit("no"))
    )
    return frame.with_columns(classes.to_series().alias(TARGET))


def test_notebooks_run_without_a_word_of_warning(ran: dict[str, Ran]) -> None:
    """From top to bottom, each with its charts."""
    for one in ran.values():
        assert not [output for output in outputs(one.exploration + one.candidate) if output.get("name") == "stderr"]
        assert len(charts(one.exploration)) == (5 if one.result.best.name == "odd" else 7), "nothing missing, no time"
        assert len(charts(one.candidate)) == 1


def test_the_model_of_a_run_is_made_again_to_the_bit(ran: dict[str, Ran]) -> None:
    """And what was rebuilt gives in onnxruntime alone what it gives here."""
    for one in ran.values():
        told = printed(one.candidate)
        assert "the same to the bit" in told
        assert "largest difference: 0.0e+00" in told
        assert "True 10 rows" in told


def test_figures_are_those_of_the_run(ran: dict[str, Ran]) -> None:
    """The best score on the leaderboard; and a linear model, which has no seed, gets the same score again."""
    for one in ran.values():
        complete = one.result.leaderboard.row(0, named=True)["score"]
        assert f"{complete:.6f}"[:7] in shown_after(one.candidate, "trials.sort(")
    for name in ("in order", "odd"):
        score = f"{ran[name].result.leaderboard.row(0, named=True)['score']:.6f}"
        assert shown_after(ran[name].candidate, '"spread between folds"').count(score) == 2


def test_a_table_in_memory_is_kept_beside_them(ran: dict[str, Ran]) -> None:
    """Whole; and the run's own store gets no model by running a notebook."""
    found = ran["binary"]
    assert {path.name for path in found.folder.iterdir()} == {
        "mixed-1-candidate.ipynb",
        "mixed-1-exploration.ipynb",
        "mixed-1-rebuilt-store",
        "mixed-1-rebuilt.onnx",
        "mixed-1-table.parquet",
    }
    assert pl.read_parquet(found.folder / "mixed-1-table.parquet").equals(tables.mixed(400))
    assert "400 rows, 7 columns" in printed(found.exploration)
    assert len(found.result.store.models.list()) == 1


def test_what_the_user_said_of_the_table_is_said_again(ran: dict[str, Ran]) -> None:
    """Delimiter, kinds, what to ignore, the order in time; and the findings are found again."""
    cells = ran["in order"].exploration
    assert "600 rows, 17 columns" in printed(cells)
    assert re.search(r"plane_seats +┆ category", shown_after(cells, "def described"))
    assert re.search(r"late +┆ was ignored as asked", shown_after(cells, "signature.dropped"))
    assert "'late' was ignored as asked." in "".join(cell.source for cell in cells)


def test_names_are_data_whatever_is_in_them(ran: dict[str, Ran]) -> None:
    """Quotes, line ends, braces, fences, markup, names that the cells use: charts show and draw all of them."""
    found = [*charts(ran["odd"].exploration), *charts(ran["odd"].candidate)]
    shown = json.dumps(found)
    for name in ODD:
        assert json.dumps(name)[1:-1] in shown
    for chart in found:
        assert vl_convert.vegalite_to_svg(chart).count("<path") > 4


def subject(result: Result, **changes: Any) -> Subject:
    """What the notebooks of a run tell of."""
    asked = Asked(result.run.task, {}, (), ",", None, None, None, balanced=False)
    store, source = str(result.store.root), Source("table.parquet")
    made = Subject(result.run, result.best, result.trials, asked, Checked(), (), store, source)
    return replace(made, **changes)


def code_of(notebook: bytes) -> str:
    """All of its code, which has to be Python."""
    cells = nbformat.reads(notebook.decode(), as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    ast.parse(code)
    return code


def with_members(result: Result, *members: Member) -> Any:
    return replace(result.best, card=replace(result.best.card, members=members))


def test_candidates_of_ones_own_are_looked_at_and_not_trained(fitted: Result) -> None:
    """No file can name them: neither training nor a replay would run."""
    own = with_members(fitted, Member(1, "mine", 1.0, {"depth": 3}, "trees"))
    notebook = candidate_of(subject(fitted, version=own))
    code = code_of(notebook)
    assert "autopilot.fit(" not in code
    assert "autopilot.replay(" not in code
    assert "predictor = published" in code
    assert "candidates=[MyCandidate()]" in notebook.decode()


def test_the_best_member_is_the_one_that_validated_best(fitted: Result) -> None:
    """Whatever its weight; one of the user's own is passed over."""
    best = max((trial for trial in fitted.trials if trial.score is not None), key=lambda trial: trial.score or 0.0)
    worst = min((trial for trial in fitted.trials if trial.score is not None), key=lambda trial: trial.score or 0.0)
    members = (
        Member(worst.number, worst.candidate, 0.6, worst.params, "trees"),
        Member(best.number, best.candidate, 0.3, best.params, "trees"),
        Member(99, "mine", 0.1, {}, "trees"),
    )
    code = code_of(candidate_of(subject(fitted, version=with_members(fitted, *members))))
    assert f'CANDIDATE = "{best.candidate}"' in code
    assert f"trial.number == {best.number})" in code
    assert "autopilot.replay(" not in code


def test_parameters_beyond_a_candidates_range_are_given_as_choices(fitted: Result) -> None:
    """`fit` would refuse the plain value."""
    code = code_of(
        candidate_of(subject(fitted, version=with_members(fitted, Member(1, "linear", 1.0, {"penalty": 1e9}))))
    )
    assert "autopilot.CategoricalParameter((value,))" in code
    assert "spaces={CANDIDATE: fixed}" in code


def test_a_metric_of_ones_own_gives_way_to_the_usual_one(fitted: Result) -> None:
    """And the reader is told."""
    notebook = candidate_of(subject(fitted, run=replace(fitted.run, metric="profit"))).decode()
    assert '\\"metric\\": \\"auto\\"' in notebook
    assert "**Another metric.** The run was scored by `profit`" in notebook


def test_a_large_table_in_memory_is_kept_as_a_sample(
    fitted: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its order, and said so; a replay would need all rows."""
    monkeypatch.setattr(subjects, "_MOST_CELLS", 700)
    table = tables.mixed(400)
    exploration, candidate = write_notebooks(fitted.store, fitted.run, tmp_path, data=table, findings=())
    kept = pl.read_parquet(tmp_path / "mixed-1-table.parquet")
    assert kept.height == 100
    assert kept.join(table, on="income", how="semi").height + kept["income"].null_count() == 100
    for path in (exploration, candidate):
        assert "A sample of its 400 rows is kept beside this notebook" in path.read_text(encoding="utf-8")
    assert "autopilot.replay(" not in candidate.read_text(encoding="utf-8")


def test_a_table_that_is_not_there_is_asked_for(fitted: Result, tmp_path: Path) -> None:
    """A frame was in memory, a file may be gone."""
    with raises(InputError, "read a polars DataFrame, and there is no such file in "):
        write_notebooks(fitted.store, fitted.run, tmp_path, findings=())


def test_a_run_without_a_model_has_no_notebooks(tmp_path: Path) -> None:
    """There is nothing to rebuild."""
    store = Store.open(tmp_path / "store")
    with raises(InputError, "Run 'r1' is running and has no model."):
        write_notebooks(store, replace(run(), model=None, version=None, status="running"), tmp_path)
    store.close()

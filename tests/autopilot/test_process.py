"""One processing step on a table: fitted, applied, kept, and applied again with the same bits."""

import re
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from autopilot.__main__ import run
from autopilot.plan.ops import OPS, Crosses, GroupAggregates, TargetMean, WordMeans
from autopilot.process import STEPS, FittedStep, process
from storage.errors import DataError, InputError
from tests import tables
from tests.refusals import raises

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "processing.md").read_text(encoding="utf-8")
RENTS = pl.DataFrame(
    {
        "town": ["Ulm", "Bonn", "Ulm", "Köln", "Bonn", "Ulm"],
        "zip": ["089", "531", "089", "506", "531", "089"],
        "area": [70.5, 55.0, 95.0, None, 30.0, 130.0],
        "rooms": [3, 2, 4, 3, 1, 5],
        "floor": [0, 1, 4, 2, 2, 1],
        "rent": [700, 650, 900, 820, 400, 1200],
    }
)


def test_one_hot_adds_a_column_for_each_level_and_keeps_the_others() -> None:
    """Levels of two rows or more, the most frequent first."""
    wide = process(RENTS, "one_hot", columns=["town"]).frame
    assert wide.columns == [*RENTS.columns, "town = Ulm", "town = Bonn"]
    assert wide.select("town = Ulm", "town = Bonn").rows() == [(1, 0), (0, 1), (1, 0), (0, 0), (0, 1), (1, 0)]
    assert wide.drop("town = Ulm", "town = Bonn").equals(RENTS)


def test_one_hot_agrees_with_scikit_learn() -> None:
    """On a column of six towns and nulls."""
    table = tables.mixed(300).with_columns(pl.col("town").fill_null(""))
    made, fitted = process(table, "one_hot", columns=["town"])
    levels = [name.removeprefix("town = ") for name in fitted.names]
    encoder = OneHotEncoder(categories=[levels], sparse_output=False).fit(table.select("town").to_numpy())
    assert made.select(fitted.names).to_numpy().tolist() == encoder.transform(table.select("town").to_numpy()).tolist()


def test_pca_agrees_with_scikit_learn() -> None:
    """Three components of eight columns."""
    x = np.random.default_rng(0).normal(size=(500, 3)) @ np.random.default_rng(1).normal(size=(3, 8))
    x += 0.1 * np.random.default_rng(2).normal(size=x.shape)
    table = pl.DataFrame(x, schema=[f"x{i}" for i in range(8)])
    made, fitted = process(table, "pca", components=3, drop=True)
    assert made.columns == list(fitted.names) == [f"principal component {i}" for i in (1, 2, 3)]
    expected = PCA(3).fit_transform(StandardScaler().fit_transform(x) * np.sqrt(499 / 500))
    signs = np.sign(np.sum(made.to_numpy() * expected, axis=0))
    assert made.to_numpy() == pytest.approx(expected * signs, abs=1e-3)


def test_a_column_that_is_named_is_read_as_the_steps_kind() -> None:
    """A number as levels; the others are left alone."""
    assert process(RENTS, "one_hot", columns=["floor"]).fitted.names == ("floor = 1", "floor = 2")


def test_a_column_that_is_ignored_stays_as_it_is() -> None:
    """A target, for one."""
    made, fitted = process(RENTS, "scale", ignore=["rent"])
    assert fitted.names == ("area", "rooms", "floor")
    assert made.columns == ["town", "zip", "rent", "area", "rooms", "floor"]
    assert made.get_column("rent").equals(RENTS.get_column("rent"))


@pytest.mark.parametrize("step", [step for step in STEPS if step not in ("powers", "time_differences")])
def test_each_step_is_applied_to_later_rows_with_the_same_bits(step: str, tmp_path: Path) -> None:
    """After it was written and read again; a row's features do not depend on the rows beside it."""
    table = tables.mixed(300).with_columns(other=pl.col("income").log(), third=pl.col("age") ** 2)
    columns = ["note"] if STEPS[step].kind == "text" else None
    made, fitted = process(table, step, columns=columns)
    fitted.save(tmp_path / "step.json")
    again = FittedStep.load(tmp_path / "step.json")
    assert again == fitted
    later = process(table[100:200].reverse(), again).frame
    assert later.equals(made[100:200].reverse())
    assert set(made.select(fitted.names).dtypes) == {pl.Float32}


def test_missing_values_are_null() -> None:
    """Not NaN, which files hold in other ways."""
    made = process(tables.mixed(100), "calendar_parts").frame
    missing = made.filter(pl.col("joined").is_null())
    assert missing.height
    assert missing.get_column("year of joined").null_count() == missing.height


def test_every_op_is_a_step_or_needs_a_target_or_is_part_of_another() -> None:
    """A new op has to be thought of here."""
    names = {op.__name__ for op in set(OPS) - set(STEPS.values())}
    needs_target = {TargetMean, WordMeans, Crosses, GroupAggregates}
    assert names >= {op.__name__ for op in needs_target}
    assert names - {op.__name__ for op in needs_target} == {
        "Arithmetic",
        "CharacterNgrams",
        "Numbers",
        "ScaledCalendar",
    }


# ---------------------------------------------------------------------------------------------------------- refusals


def test_an_unknown_step_is_told_which_there_are() -> None:
    """All of them."""
    with raises(InputError, "There is no step 'onehot'. Steps are scale, quantiles, powers, pca,"):
        process(RENTS, "onehot")


def test_an_option_of_another_step_is_refused() -> None:
    """With the step that it belongs to."""
    with raises(InputError, "components is an option of pca, not of 'scale'. Leave it out."):
        process(RENTS, "scale", components=2)
    with raises(InputError, "max_levels is 0. Give at least 1."):
        process(RENTS, "one_hot", max_levels=0)
    fitted = process(RENTS, "scale").fitted
    with raises(InputError, "A fitted step takes no columns: it was decided when it was fitted. Leave it out."):
        process(RENTS, fitted, columns=["area"])


def test_a_column_that_the_table_lacks_is_named() -> None:
    """When fitting, and when applying."""
    with raises(DataError, "The table has no column 'size'. Its columns are 'town', 'zip', 'area'"):
        process(RENTS, "pca", columns=["size"])
    with raises(DataError, "'area'"):
        process(RENTS.drop("area"), process(RENTS, "scale").fitted)


def test_a_table_without_a_column_of_the_kind_is_refused() -> None:
    """Or with too little in it for the step."""
    with raises(DataError, "'calendar_parts' reads columns of kind time, and none of 'town', 'zip', 'area', 'rooms'"):
        process(RENTS, "calendar_parts")
    with raises(DataError, "'pca' finds nothing to learn in 'area', 'rent'. It needs 4 columns that vary"):
        process(RENTS, "pca", columns=["area", "rent"])
    with raises(DataError, "'pca' finds 2 components, not 3. Ask for fewer."):
        process(RENTS, "pca", columns=["area", "rent"], components=3)


def test_a_name_that_is_taken_is_refused() -> None:
    """The same step twice."""
    twice = process(RENTS, "pca").frame
    with raises(DataError, "The table has columns that 'pca' would make: 'principal component 1'"):
        process(twice, "pca")


def test_a_file_that_is_no_fitted_step_is_refused(tmp_path: Path) -> None:
    """Absent, no JSON, other JSON, and of a later version."""
    path = tmp_path / "step.json"
    with raises(DataError, "cannot be read: No such file or directory. Check the path."):
        FittedStep.load(path)
    for content in (b"a,b", b"{}", b"\xff\xfe"):
        path.write_bytes(content)
        with raises(DataError, "is no fitted step: "):
            FittedStep.load(path)
    fitted = msgspec.structs.replace(process(RENTS, "scale").fitted, format=2)
    fitted.save(path)
    with raises(DataError, "has format 2; this version reads up to 1. Update autopilot."):
        FittedStep.load(path)


# ------------------------------------------------------------------------------------------------------ command line


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "ndjson", "arrow"])
def test_the_command_writes_each_format(ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same table whatever the ending."""
    source, out = tmp_path / "rents.parquet", tmp_path / f"out.{ending}"
    RENTS.write_parquet(source)
    assert run(["process", str(source), "one_hot", "--columns", "town,floor", "-o", str(out)]) == 0
    assert "6 rows with 4 new columns" in capsys.readouterr().out
    read = {
        "csv": pl.read_csv,
        "tsv": lambda path: pl.read_csv(path, separator="\t"),
        "parquet": pl.read_parquet,
        "ndjson": pl.read_ndjson,
        "arrow": pl.read_ipc,
    }[ending]
    expected = process(RENTS, "one_hot", columns=["town", "floor"]).frame
    found = read(out)
    assert found.columns == expected.columns
    assert found.select(expected.columns[6:]).cast(pl.Float32).equals(expected.select(expected.columns[6:]))


def test_a_fitted_step_gives_the_same_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Byte for byte; codes of a csv file stay as they are written."""
    source, step = tmp_path / "rents.csv", tmp_path / "step.json"
    RENTS.write_csv(source)
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    assert run(["process", str(source), "one_hot", "-o", str(first), "--save", str(step), "--max-levels", "2"]) == 0
    assert run(["process", str(source), "--fitted", str(step), "-o", str(second), "--json"]) == 0
    assert first.read_bytes() == second.read_bytes()
    assert "zip = 089" in msgspec.json.decode(capsys.readouterr().out.partition("\n")[2])["columns"]


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and a message, before any work is done where that is possible."""
    source, step, out = tmp_path / "rents.csv", tmp_path / "step.json", str(tmp_path / "out.csv")
    RENTS.write_csv(source)
    process(RENTS, "scale").fitted.save(step)
    for arguments, message in (
        ([], "Name a step, or a fitted one with --fitted. Steps are scale,"),
        (["pca", "--fitted", str(step)], "is a fitted 'scale', not 'pca'. Leave the name out."),
        (["scale", "-o", "out.xlsx"], "'out.xlsx' does not tell its format."),
        (["scale", "-o", "out.csv.gz"], "'out.csv.gz' cannot be written: leave out .gz."),
        (["scale", "-o", "nowhere/out.csv"], "There is no folder 'nowhere' to write 'out.csv' into."),
    ):
        target = [] if "-o" in arguments else ["-o", out]
        assert run(["process", str(source), *arguments, *target]) == 2
        assert message in capsys.readouterr().err
    assert list(tmp_path.glob("out*")) == []


# ------------------------------------------------------------------------------------------------------------- guide


def test_the_guide_runs_and_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the letter."""
    code, printed = re.findall(r"```(?:python)?\n(.*?)```", GUIDE, re.DOTALL)[1:3]
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "processing.md", "exec"), {})  # noqa: S102 - our own guide
    assert capsys.readouterr().out == printed


def test_the_guides_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order."""
    monkeypatch.chdir(tmp_path)
    RENTS.write_csv("rents.csv")
    RENTS.write_csv("later.csv")
    for line in GUIDE.partition("```\n")[2].partition("```")[0].splitlines():
        assert run(line.split()[1:]) == 0, line
    assert pl.read_parquet("scores.parquet").equals(pl.read_parquet("later.parquet"))


def test_each_step_is_in_the_guide() -> None:
    """With the kind of its columns."""
    told = re.findall(r"^\| `(\w+)` \| (\w+) \|", GUIDE, re.MULTILINE)
    assert dict(told) == {name: op.kind for name, op in STEPS.items()}

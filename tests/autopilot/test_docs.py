"""The guide to uncertainty runs, and its figures are those of the code."""

import re
from pathlib import Path

import polars as pl
import pytest

from autopilot.graph import conformal
from autopilot.search import head
from tests import portable

GUIDE = (Path(__file__).parents[2] / "docs" / "uncertainty.md").read_text(encoding="utf-8")


def blocks() -> list[str]:
    """Its Python, in order."""
    return re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL)


def test_the_guide_runs_and_gives_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line with an answer beside it: columns of a frame, or the answer itself."""
    monkeypatch.chdir(tmp_path)
    Path("prices.onnx").write_bytes(portable.with_interval())
    Path("payments.onnx").write_bytes(portable.with_sets())
    names = {"frame": pl.DataFrame(list(portable.ROWS), infer_schema_length=None), "row": portable.ROWS[0]}
    checked = 0
    for block in blocks():
        for line in block.splitlines():
            code, _, told = line.partition("  # ")
            if not told:
                exec(code, names)  # noqa: S102 - our own guide
                continue
            found = eval(code, names)  # noqa: S307
            if hasattr(found, "columns"):
                assert told.split(", ") == found.columns
            elif isinstance(found, list) and hasattr(found[0], "tolist"):
                assert eval(told) == found[0].tolist()  # noqa: S307
            else:
                assert eval(told) == found  # noqa: S307
            checked += 1
    assert checked == 5


def test_its_figures_are_those_of_the_code() -> None:
    """Of the table, and of the text."""
    rows = dict(re.findall(r"^\| ([a-z, ]+) \| [a-z ]+ \| ([\d,]+) rows", GUIDE, flags=re.MULTILINE))
    (_, temperature), (_, beta) = head._LEAST_ROWS
    assert {name: int(count.replace(",", "")) for name, count in rows.items()} == {
        "temperature": temperature,
        "beta calibration": beta,
        "threshold, balance": head._LEAST_RARE_ROWS,
        "interval": head._LEAST_CONFORMAL_ROWS,
        "sets": head._LEAST_CONFORMAL_ROWS,
    }
    words = " ".join(GUIDE.split())
    assert f"up to {head._MOST_RANGES} ranges of the prediction, of {head._RANGE_ROWS} rows or more" in words
    assert f"Classes of fewer than {conformal._LEAST_ROWS} rows share a cut" in words
    for name in head._ONE_SIDED:
        assert f"`{name}`" in words

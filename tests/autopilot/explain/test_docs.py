"""The guide to explanations runs, and gives what it says."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests import portable

GUIDE = (Path(__file__).parents[3] / "docs" / "explanations.md").read_text(encoding="utf-8")


def names_of_the_guide() -> dict[str, object]:
    """What the guide takes for granted: a few rows, usual ones, and held-out ones with what they turned out to be."""
    rows = pl.DataFrame(list(portable.ROWS), infer_schema_length=None)
    rng = np.random.default_rng(0)
    held_out = pl.DataFrame(
        {
            "amount": rng.uniform(0, 10, 400),
            "town": rng.choice(["Ulm", "Bonn"], 400),
            "visits": rng.integers(0, 9, 400),
            "seen": ["2023-05-01"] * 400,
        }
    )
    truth = held_out.select(pl.col("amount") / 2 - pl.col("visits")).to_series().to_numpy()
    return {
        "frame": rows,
        "usual": pl.DataFrame(
            [{**portable.ROWS[0], "amount": 3.0, "town": town, "visits": 1} for town in ("Bonn", "Rome")]
        ),
        "held_out": held_out,
        "truth": truth,
        "paid": (truth > 0).astype(float),
        "branch": pl.Series("branch", ["north"] * 250 + ["south"] * 150),
    }


def test_the_guide_runs_and_gives_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line with an answer beside it: columns of a frame, or the answer itself."""
    monkeypatch.chdir(tmp_path)
    Path("prices.onnx").write_bytes(portable.regressor())
    Path("payments.onnx").write_bytes(portable.classifier())
    names = names_of_the_guide()
    checked = 0
    for line in "".join(re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL)).splitlines():
        code, _, told = line.partition("  # ")
        if not told:
            exec(code, names)  # noqa: S102 - our own guide
            continue
        found = eval(code, names)  # noqa: S307
        if isinstance(found, pl.DataFrame):
            assert told.split(", ") == found.columns
        else:
            assert found == eval(told)  # noqa: S307
        checked += 1
    assert checked == 18

"""What is served and asked: a table, a model that was fitted on it, and bodies that differ.

The same row sent again and again is not what users send: a branch predictor learns its way through the trees, and 41 us
become 10. So there are as many bodies as a server cannot remember.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import polars as pl

from storage import Predictor, Signature, Store
from storage.records import CapturePolicy

ENDPOINT = "bench"
PATH = f"/endpoints/{ENDPOINT}/invocations"
BODIES = 2_000
_ROWS = 20_000
_FIT = {"budget": "120s", "max_trials": 1, "quality": "fast", "candidates": ["lightgbm"], "seed": 0, "guard": False}


class Subject(NamedTuple):
    """A folder that holds everything. frame: the rows that are sent, as the model takes them, without the target."""

    folder: Path
    frame: pl.DataFrame
    signature: Signature

    @property
    def model(self) -> Path:
        """The fitted model, as the portable file."""
        return self.folder / "model.onnx"

    @property
    def bodies(self) -> Path:
        """One row a line, each another one."""
        return self.folder / "rows.jsonl"

    @property
    def columns(self) -> Path:
        """Names of columns and whether they hold numbers: all that an echo of a typed row has to know."""
        return self.folder / "columns.json"

    def store(self, folder: Path, *, capture: bool, mode: Literal["async", "sync"] = "async") -> Path:
        """A store of its own for one server, without traffic."""
        copy = shutil.copytree(self.folder / "store", folder / "store")
        with_endpoint = Store.open(copy)
        version = with_endpoint.models.get("bench")
        policy = CapturePolicy(float(capture), mode)
        with_endpoint.endpoints.deploy(ENDPOINT, version, datetime.now(UTC), capture=policy)
        with_endpoint.close()
        return copy


def prepare(folder: Path, table: Path | None, target: str, widths: tuple[int, int, int, int]) -> Subject:
    """Fit a model on a table, or on a synthetic one of so many numbers, categories, texts and times."""
    import autopilot

    frame = pl.read_parquet(table) if table else synthetic(*widths)
    result = autopilot.fit(frame, target, name="bench", store=folder / "store", progress=False, **_FIT)  # type: ignore[arg-type]
    predictor = Predictor(result.onnx_path.read_bytes())
    result.store.close()
    sent = frame.select(predictor.signature.names).sample(fraction=1.0, shuffle=True, seed=0)
    subject = Subject(folder, sent, predictor.signature)
    predictor.save(subject.model)
    subject.bodies.write_text("\n".join(json_rows(sent.head(BODIES))) + "\n")
    is_number = [(name, name in predictor.signature.block("number")) for name in predictor.signature.names]
    subject.columns.write_bytes(msgspec.json.encode(is_number))
    return subject


def synthetic(numbers: int, categories: int, texts: int, times: int, rows: int = _ROWS) -> pl.DataFrame:
    """A table of two classes. Each column is lacking in one row of thirty; the first of each kind tell the class."""
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("abcdefghijklmnoprstuvw"), rng.integers(3, 9))) for _ in range(300)])
    columns = {
        f"number_{at}": pl.Series(rng.normal(scale=10.0**at, size=rows).round(3)) for at in range(min(numbers, 4))
    }
    columns |= {f"number_{at}": pl.Series(rng.integers(0, 10 * at, rows)) for at in range(4, numbers)}
    levels = [rng.integers(0, 3 + 3 * at, rows) for at in range(categories)]
    columns |= {f"category_{at}": pl.Series(words[codes]) for at, codes in enumerate(levels)}
    lengths = rng.integers(3, 13, size=(texts, rows))
    drawn = [[" ".join(rng.choice(words, length)) for length in row] for row in lengths]
    columns |= {f"text_{at}": pl.Series(row) for at, row in enumerate(drawn)}
    seconds = rng.integers(1_600_000_000, 1_750_000_000, size=(times, rows))
    columns |= {f"time_{at}": pl.from_epoch(pl.Series(row), time_unit="s") for at, row in enumerate(seconds)}
    score = rng.normal(size=rows)
    if numbers > 1:
        score += columns["number_0"].to_numpy() + columns["number_1"].to_numpy() / 20
    if categories:
        score += levels[0] - 1.0
    lacking = {name: pl.when(pl.Series(rng.random(rows) > 1 / 30)).then(pl.col(name)) for name in columns}
    frame = pl.DataFrame(columns).select(value.alias(name) for name, value in lacking.items())
    return frame.with_columns(target=pl.Series(np.where(score > 0, "yes", "no")))


def json_rows(frame: pl.DataFrame) -> list[str]:
    """Each row as a JSON object: nulls kept, times in ISO 8601."""
    times = pl.selectors.temporal()
    return frame.with_columns(times.dt.strftime("%Y-%m-%dT%H:%M:%S")).write_ndjson().splitlines()


def json_array(frame: pl.DataFrame) -> bytes:
    """Rows as one JSON body."""
    return ("[" + ",".join(json_rows(frame)) + "]").encode()

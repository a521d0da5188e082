"""What does scoring files cost beside the model alone, and does it take more memory for more rows?

    python -m bench.batch
    options: --rows 2000000   --less 1000000   --workers 0   --forms parquet,csv   --folder FOLDER

A table of 30 columns (`bench.large`), written as it is made, is scored from a file into another of the same format, by
a model of some hundred trees. What it is held against is onnxruntime alone in the same process: the same model on the
same rows as arrays that are ready, in runs of 1,000 rows by as many threads, before and after, of which the mean
counts. The second ratio is that of CPU times, which other work on the machine changes less. Peak memory is the
resident set of a process that does nothing else, for all rows and for fewer.

The last table tells where the CPU time of a row goes, measured one step after the other by one thread.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import polars as pl
from polars.io.plugins import register_io_source

from bench.large import table
from storage.batch import Transform
from storage.batch.engine import transform_files
from storage.batch.plan import threads_of
from storage.batch.rows import csv_rows
from storage.batch.scoring import number_names
from storage.boundary import Blocks, blocks_of_frame, typed
from storage.predictor import Predictor, frame_of_outputs

_PIECE_ROWS = 250_000
_ALONE_ROWS = 200_000
_RUN_ROWS = 1_000
_TRAINED_ROWS = 10_000


def main() -> None:
    """Print the tables."""
    chosen = _parse()
    if chosen.measure is not None:
        print(json.dumps(_measured(chosen)))
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        trees = _fit(folder)
        print(f"A model of {trees} trees, 30 columns, {chosen.workers or 'all'} threads.\n")
        print("| file | rows | rows/s | onnxruntime alone | ratio | of CPU | peak MB | rows | peak MB |")
        print("|---|---|---|---|---|---|---|---|---|")
        for form in chosen.forms.split(","):
            _print_line(form, folder, chosen)
        _print_steps(Predictor.open(folder / "model.onnx"))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--less", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--forms", default="parquet,csv")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--measure", choices=("speed", "memory"), help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _fit(folder: Path) -> int:
    """`model.onnx`, by one LightGBM trial; gives its trees."""
    import autopilot

    result = autopilot.fit(
        table(_TRAINED_ROWS, 0).with_columns(y=pl.col("y") > 0),
        "y",
        store=folder / "store",
        progress=False,
        budget="120s",
        max_trials=1,
        quality="fast",
        candidates=["lightgbm"],
        guard=False,
        seed=0,
    )
    result.model.save(folder / "model.onnx")
    result.store.close()
    graph = onnx.load(folder / "model.onnx").graph
    attributes = [one for node in graph.node if "TreeEnsemble" in node.op_type for one in node.attribute]
    return sum(1 + max(one.ints) for one in attributes if one.name == "nodes_treeids")


def _print_line(form: str, folder: Path, chosen: argparse.Namespace) -> None:
    peaks: list[str] = []
    speed: dict[str, float] = {}
    for rows in (chosen.rows, chosen.less):
        source = folder / f"{rows}.{form}"
        _write(rows, source, form)
        if rows == chosen.rows:
            speed = _in_process("speed", folder, source, chosen)
        peaks += [f"{rows:,}", f"{_in_process('memory', folder, source, chosen)['peak_bytes'] / 1e6:,.0f}"]
        source.unlink()
    ratios = (speed["rows_per_s"] / speed["alone_per_s"], speed["alone_cpu_us"] / speed["cpu_us"])
    print(
        f"| {form} | {peaks[0]} | {speed['rows_per_s']:,.0f} | {speed['alone_per_s']:,.0f} | {ratios[0]:.2f} "
        f"| {ratios[1]:.2f} | {peaks[1]} | {peaks[2]} | {peaks[3]} |",
        flush=True,
    )


def _write(rows: int, path: Path, form: str) -> None:
    """A file of fresh rows, a piece of it in memory at a time."""

    def pieces(*_: Any) -> Iterator[pl.DataFrame]:
        for start in range(0, rows, _PIECE_ROWS):
            yield table(min(_PIECE_ROWS, rows - start), 10**6 + start).drop("y")

    made = register_io_source(pieces, schema=table(1, 0).drop("y").schema)
    made.sink_parquet(path) if form == "parquet" else made.sink_csv(path)


def _in_process(what: str, folder: Path, source: Path, chosen: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.batch", "--measure", what, "--model", str(folder / "model.onnx")]
    command += ["--source", str(source), "--workers", str(chosen.workers)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def _measured(chosen: argparse.Namespace) -> dict[str, float]:
    """Speed beside the model alone, or memory of scoring alone."""
    predictor = Predictor.open(chosen.model)
    out = chosen.source.with_name("out" + chosen.source.suffix)
    transform = Transform("bench", str(chosen.source), str(out), workers=chosen.workers, overwrite=True)
    if chosen.measure == "memory":
        transform_files(predictor, transform)
        return {"peak_bytes": _peak_bytes()}
    blocks = _ready(predictor)
    before = _alone(predictor, blocks, chosen.workers)
    scored = _timed(lambda: transform_files(predictor, transform).rows)
    after = _alone(predictor, blocks, chosen.workers)
    return {
        "rows_per_s": scored.rows_per_s,
        "cpu_us": scored.cpu_us,
        "alone_per_s": (before.rows_per_s + after.rows_per_s) / 2,
        "alone_cpu_us": (before.cpu_us + after.cpu_us) / 2,
    }


def _peak_bytes() -> int:
    """Of this process since it began; what the system counts may be its parent's, which it was forked from."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 1024 * int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))


class Timed(NamedTuple):
    """Wall time as rows a second, and CPU time of all threads in microseconds a row."""

    rows_per_s: float
    cpu_us: float


def _timed(work: Callable[[], int]) -> Timed:
    began, cpu = time.monotonic(), time.process_time()
    rows = work()
    return Timed(rows / (time.monotonic() - began), (time.process_time() - cpu) / rows * 1e6)


def _ready(predictor: Predictor) -> Blocks:
    return blocks_of_frame(predictor.signature, typed(predictor.signature, table(_ALONE_ROWS, 10**9).drop("y")))


def _alone(predictor: Predictor, blocks: Blocks, workers: int) -> Timed:
    """onnxruntime on arrays that are ready."""
    runs = [blocks.slice(start, start + _RUN_ROWS) for start in range(0, blocks.rows, _RUN_ROWS)]
    with ThreadPoolExecutor(threads_of(workers)) as pool:
        list(pool.map(predictor.run_once, runs[:10]))
        return _timed(lambda: len(list(pool.map(predictor.run_once, runs))) * _RUN_ROWS)


def _print_steps(predictor: Predictor) -> None:
    frame = table(50_000, 5).drop("y")
    text = frame.write_csv(include_header=False).encode()
    numbers = number_names(predictor, Transform("bench", "", ""))
    read = csv_rows(text, frame.columns, ",", numbers).frame
    clean = typed(predictor.signature, frame)
    blocks = blocks_of_frame(predictor.signature, clean)
    outputs = predictor.run(blocks)
    answers = frame_of_outputs(predictor.signature, outputs)
    steps: dict[str, Callable[[], object]] = {
        "read csv": lambda: csv_rows(text, frame.columns, ",", numbers),
        "read csv as text, where its columns are joined": lambda: csv_rows(text, frame.columns, ","),
        "type its columns": lambda: typed(predictor.signature, read),
        "type those of Parquet": lambda: typed(predictor.signature, frame),
        "make arrays": lambda: blocks_of_frame(predictor.signature, clean),
        "run the model": lambda: predictor.run(blocks),
        "make columns of answers": lambda: frame_of_outputs(predictor.signature, outputs),
        "write them as Parquet": lambda: answers.write_parquet(io.BytesIO()),
        "write them as csv": lambda: answers.write_csv(io.BytesIO()),
    }
    print("\n| step | CPU us a row |\n|---|---|")
    for name, step in steps.items():
        print(f"| {name} | {min(_cpu_s(step) for _ in range(3)) / frame.height * 1e6:.2f} |", flush=True)


def _cpu_s(step: Callable[[], object]) -> float:
    began = time.process_time()
    step()
    return time.process_time() - began


if __name__ == "__main__":
    main()

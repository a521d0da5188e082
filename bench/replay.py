"""What does replaying captured traffic cost beside the model alone, and are the answers the same to the bit?

    python -m bench.replay
    options: --rows 1000000   --less 250000   --request-rows 1   --cpu 0   --labels 1.0

Rows of 30 columns (`bench.large`) are answered by a model of some hundred trees, and captured as a server captures
them, one row a request unless it is said otherwise. They are replayed on the version that answered, on another one of
as many trees, and on that with labels of so large a share of the rows. All of it runs on one CPU; what it is held
against is onnxruntime alone in the same process: the same model on the same rows as arrays that are ready, in runs of
1,000 rows, before and after, of which the mean counts. Peak memory is the resident set of a process that does nothing
else, for all rows and for fewer.

Labels are taken in from a csv file; how long that takes is told too.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
import polars as pl

from bench.large import table
from storage import Predictor, Store
from storage.boundary import Blocks, blocks_of_frame, typed
from storage.labels.files import put_file
from storage.predictor import Outputs
from storage.replay import ReplaySpec
from storage.replay.replay import replay
from storage.traffic import Header, Invocation

_PIECE_ROWS = 50_000
_ALONE_ROWS = 100_000
_RUN_ROWS = 1_000
_TRAINED_ROWS = 10_000
_ANSWERED = datetime(2024, 5, 1, tzinfo=UTC)
_ALL = ReplaySpec(start=_ANSWERED)


def main() -> None:
    """Print the tables."""
    chosen = _parse()
    if chosen.measure is not None:
        print(json.dumps(_measured(chosen)))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        trees = [_fit(root, seed) for seed in range(2)]
        for name, rows in (("all", chosen.rows), ("less", chosen.less)):
            _capture(root, name, rows, chosen.request_rows)
        print(f"Models of {trees[0]} and {trees[1]} trees, 30 columns, {chosen.request_rows} rows a request.\n")
        print(
            "| replayed on | rows | seconds | rows/s | onnxruntime alone | ratio | result | peak MB | rows | peak MB |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|")
        for version in ("bench:1", "bench:2"):
            _print_line(root, version, version, chosen)
        seconds = _label(root, "all", chosen)
        _print_line(root, "bench:2", "bench:2, with labels", chosen)
        print(f"\n{chosen.rows * chosen.labels:,.0f} labels taken in from a csv file in {seconds:.1f} s.")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--less", type=int, default=250_000)
    parser.add_argument("--request-rows", type=int, default=1)
    parser.add_argument("--cpu", type=int, default=0)
    parser.add_argument("--labels", type=float, default=1.0)
    parser.add_argument("--measure", choices=("speed", "memory"), help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    return parser.parse_args()


def _fit(root: Path, seed: int) -> int:
    """The next version of `bench`, by one LightGBM trial; gives its trees."""
    import autopilot

    result = autopilot.fit(
        table(_TRAINED_ROWS, seed).with_columns(y=pl.col("y") > 0),
        "y",
        name="bench",
        store=root,
        progress=False,
        budget="120s",
        max_trials=1,
        quality="fast",
        candidates=["lightgbm"],
        guard=False,
    )
    graph = onnx.load(result.onnx_path).graph
    result.store.close()
    attributes = [one for node in graph.node if "TreeEnsemble" in node.op_type for one in node.attribute]
    return sum(1 + max(one.ints) for one in attributes if one.name == "nodes_treeids")


def _capture(root: Path, name: str, rows: int, request_rows: int) -> None:
    """An endpoint that `bench:1` has answered so many rows of, a millisecond after another, in Parquet."""
    store = Store.open(root)
    version = store.models.get("bench:1")
    store.endpoints.deploy(name, version, _ANSWERED)
    predictor = Predictor(store.models.read_file(version))
    header = Header(name, version.name, version.version, version.signature)
    for start in range(0, rows, _PIECE_ROWS):
        frame = table(min(_PIECE_ROWS, rows - start), 10**6 + start).drop("y")
        blocks = blocks_of_frame(version.signature, typed(version.signature, frame))
        writer = store.traffic.writer(header)
        writer.append(list(_requests(blocks, predictor.run(blocks), start, request_rows)))
        writer.rotate()
        store.traffic.compact()
    store.close()


def _requests(blocks: Blocks, outputs: Outputs, first: int, rows: int) -> Iterator[Invocation]:
    start_us = int(_ANSWERED.timestamp() * 1e6)
    for at in range(0, blocks.rows, rows):
        piece: list[Any] = [None if values is None else values[at : at + rows] for values in outputs]
        number = (first + at) // rows
        request = (f"1f6c0ab2d3e4f506-{number}", start_us + number * 1_000, blocks.slice(at, at + rows))
        yield Invocation(*request, Outputs(*piece))


def _label(root: Path, name: str, chosen: argparse.Namespace) -> float:
    """Labels of a share of the rows, from a file; gives the seconds that it takes to take them in."""
    store, path = Store.open(root), root / "labels.csv"
    ids = [f"1f6c0ab2d3e4f506-{at}" for at in range(chosen.rows // chosen.request_rows)]
    frame = pl.DataFrame({"inference_id": ids}).join(
        pl.DataFrame({"row": range(chosen.request_rows)}), how="cross", maintain_order="left_right"
    )
    frame = frame.head(int(frame.height * chosen.labels))
    labels = pl.Series([at % 3 > 0 for at in range(frame.height)])
    frame.with_columns(label=labels).write_csv(path)
    began = time.monotonic()
    put_file(store, name, str(path), datetime.now(UTC))
    seconds = time.monotonic() - began
    store.close()
    return seconds


def _print_line(root: Path, model: str, title: str, chosen: argparse.Namespace) -> None:
    speed = _in_process("speed", root, "all", model, chosen)
    peaks = [_in_process("memory", root, name, model, chosen)["peak_bytes"] / 1e6 for name in ("all", "less")]
    print(
        f"| {title} | {chosen.rows:,} | {speed['seconds']:.1f} | {speed['rows_per_s']:,.0f} "
        f"| {speed['alone_per_s']:,.0f} | {speed['rows_per_s'] / speed['alone_per_s']:.2f} | {speed['result']} "
        f"| {peaks[0]:,.0f} | {chosen.less:,} | {peaks[1]:,.0f} |",
        flush=True,
    )


def _in_process(what: str, root: Path, endpoint: str, model: str, chosen: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.replay", "--measure", what, "--store", str(root), "--endpoint", endpoint]
    command += ["--model", model, "--cpu", str(chosen.cpu)]
    environ = {**os.environ, "POLARS_MAX_THREADS": "1"}
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environ).stdout)


def _measured(chosen: argparse.Namespace) -> dict[str, Any]:
    """Speed beside the model alone, or memory of replaying alone."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {chosen.cpu})
    store = Store.open(chosen.store)
    spec = ReplaySpec(start=_ANSWERED, model=chosen.model)
    if chosen.measure == "memory":
        replay(store, chosen.endpoint, spec, datetime.now(UTC))
        return {"peak_bytes": _peak_bytes()}
    version = store.models.get(chosen.model)
    predictor = Predictor(store.models.read_file(version))
    blocks = blocks_of_frame(version.signature, typed(version.signature, table(_ALONE_ROWS, 10**9).drop("y")))
    before = _alone_per_s(predictor, blocks)
    found = replay(store, chosen.endpoint, spec, datetime.now(UTC))
    after = _alone_per_s(predictor, blocks)
    result = ", ".join(f"{one.identical:,} the same to the bit" for one in found.same)
    result += ", ".join(f"{one.agreement:.2%} the same label" for one in found.against if one.agreement is not None)
    return {
        "seconds": found.seconds,
        "rows_per_s": found.rows / found.seconds,
        "alone_per_s": (before + after) / 2,
        "result": result,
    }


def _alone_per_s(predictor: Predictor, blocks: Blocks) -> float:
    """Rows a second by onnxruntime on arrays that are ready."""
    began = time.monotonic()
    for start in range(0, blocks.rows, _RUN_ROWS):
        predictor.run_once(blocks.slice(start, start + _RUN_ROWS))
    return blocks.rows / (time.monotonic() - began)


def _peak_bytes() -> int:
    """Of this process since it began; what `getrusage` counts may be its parent's, which it was forked from."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 1024 * int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()

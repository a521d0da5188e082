"""What does serving cost, and what does it do when there is too much to do?

    python -m bench.serving                             all four questions
    python -m bench.serving throughput                  one row at a time, beside raw ASGI and a bare Litestar route
    python -m bench.serving batches                     many rows in a body, by format, beside onnxruntime alone
    python -m bench.serving overload                    up to three times what can be answered, with deadlines
    python -m bench.serving rest                        memory, time to ready and idle CPU
    options: --json FILE   --peers FILE   --granian PYTHON   --table FILE --target NAME   --columns 20,15,3,2
             --rounds 3   --seconds 5   --connections 1,32,256   --server-cpu 0   --load-cpu 1   --no-capture
             --rows 1000,100000   --calls 5   --loads 0.5,1,1.5,3   --sizes 1,500   --deadlines-ms 50,250
             --open-connections 1000   --workers 1

A model is fitted first, by one LightGBM trial, on a synthetic table of so many numbers, categories, texts and times, or
on a Parquet file. Servers are pinned to one CPU and the load to another; each question's file in `bench/_serving` says
what is measured and how. wrk has to be installed (`apt install wrk`).

--json adds a line for each run to a file. --peers has such lines of other servers, which are printed beside ours: they
are comparable if they served as costly a model, so give the table that theirs was fitted on. --granian names a Python
of the same version as ours that has granian (`python -m venv VENV; VENV/bin/pip install granian`): servers run in it
beside uvicorn, and whether it should be ours can be read from the two tables.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench._serving import batches, overload, rest, throughput
from bench._serving.lines import Lines
from bench._serving.processes import stay_on
from bench._serving.subject import Subject, prepare

QUESTIONS = ("throughput", "batches", "overload", "rest")


def main() -> None:
    """Fit, then ask the questions in turn."""
    chosen = parse()
    if not shutil.which("wrk"):
        raise SystemExit("bench.serving needs wrk. Install it: apt install wrk, brew install wrk.")
    with tempfile.TemporaryDirectory() as folder:
        subject = prepare(Path(folder), chosen.table, chosen.target, chosen.columns)
        stay_on(chosen.load_cpu)
        print(f"model: {len(subject.signature.columns)} columns, {subject.model.stat().st_size:,} bytes", flush=True)
        for question in chosen.questions or QUESTIONS:
            print(f"\n### {question}", flush=True)
            ask(question, subject, Lines(chosen.json), chosen)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", metavar="question", help=", ".join(QUESTIONS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--granian")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--target", default="target")
    parser.add_argument("--columns", type=many(int), default=(20, 15, 3, 2))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=many(int), default=(1, 32, 256))
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--load-cpu", default="1")
    parser.add_argument("--no-capture", action="store_true")
    parser.add_argument("--rows", type=many(int), default=(1_000, 100_000))
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--loads", type=many(float), default=(0.5, 1.0, 1.5, 3.0))
    parser.add_argument("--sizes", type=many(int), default=(1, 500))
    parser.add_argument("--deadlines-ms", type=many(int), default=(50, 250))
    parser.add_argument("--open-connections", type=int, default=1_000)
    parser.add_argument("--workers", type=many(int), default=(1,))
    chosen = parser.parse_args()
    if unknown := set(chosen.questions) - set(QUESTIONS):
        parser.error(f"no such question: {', '.join(sorted(unknown))}. There are {', '.join(QUESTIONS)}.")
    if len(chosen.sizes) != len(chosen.deadlines_ms):
        parser.error("--sizes and --deadlines-ms go in pairs: give as many of one as of the other.")
    return chosen


def many(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Values with commas between them."""
    return lambda text: tuple(map(kind, text.split(",")))


def ask(question: str, subject: Subject, lines: Lines, chosen: argparse.Namespace) -> None:
    """Measure and print what one question is about."""
    if question == "throughput":
        throughput.measure(
            subject,
            lines,
            cpu=chosen.server_cpu,
            rounds=chosen.rounds,
            seconds=chosen.seconds,
            connections=chosen.connections,
            granian=chosen.granian,
            peers=chosen.peers,
        )
    elif question == "batches":
        batches.measure(
            subject, lines, cpu=chosen.server_cpu, rows=chosen.rows, calls=chosen.calls, capture=not chosen.no_capture
        )
    elif question == "overload":
        overload.measure(
            subject,
            lines,
            cpu=chosen.server_cpu,
            seconds=chosen.seconds,
            loads=chosen.loads,
            deadlines_ms=dict(zip(chosen.sizes, chosen.deadlines_ms, strict=True)),
            connections=chosen.open_connections,
            capture=not chosen.no_capture,
        )
    else:
        rest.measure(
            subject, lines, cpu=chosen.server_cpu, starts=chosen.rounds, workers=chosen.workers, peers=chosen.peers
        )


if __name__ == "__main__":
    main()

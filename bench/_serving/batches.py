"""Many rows in one body: how much of the time is the server's, and not the model's?

Each format is posted over one connection, one body after the other. Beside it the model alone: `Predictor.run` on the
same rows as arrays, in a process on the server's CPU, one thread. Overhead is what the server takes beyond that, for
reading, decoding, encoding, writing and capturing: by the clock, medians; and in CPU, means. A format that the server
does not know, which it answers with 415, is n/a.
"""

import http.client
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from subprocess import run

import msgspec
import polars as pl

from bench._serving.lines import Lines, print_table, told
from bench._serving.processes import ROOT, Server, free_port, serving_command, started
from bench._serving.subject import PATH, Subject, json_array, json_rows

_TIMES = pl.selectors.temporal()
_UNKNOWN = 415


class Batch(msgspec.Struct, frozen=True, tag_field="question", tag="batches"):
    """One format and number of rows. s: median seconds of a call; cpu_s: mean; None where the format is unknown."""

    format: str
    rows: int
    s: float | None
    cpu_s: float | None
    body_mb: float = 0.0
    answer_mb: float = 0.0


def measure(subject: Subject, lines: Lines, *, cpu: str, rows: Sequence[int], calls: int, capture: bool) -> None:
    """Post, and print a table for each number of rows. calls: for 100,000 rows; ten times as many for 1,000."""
    for count in rows:
        some = subject.frame.sample(count, with_replacement=True, seed=1)
        times = calls if count > 1_000 else 10 * calls
        alone = _alone(subject, some, times, cpu)
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            store = subject.store(Path(folder), capture=capture)
            with started(serving_command(store, port), port, cpu) as server:
                found = [_post(server, name, some, times) for name in FORMATS]
        for one in [alone, *found]:
            lines.add(one)
        _print(count, alone, found)


def _alone(subject: Subject, frame: pl.DataFrame, calls: int, cpu: str) -> Batch:
    """The model without a server."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "rows.parquet")
        frame.write_parquet(table)
        pin = ["taskset", "-c", cpu] if cpu else []
        command = [sys.executable, "-m", "bench._serving.batches", str(subject.model), str(table), str(calls)]
        done = run([*pin, *command], cwd=ROOT, check=True, capture_output=True)
    wall_s, cpu_s = msgspec.json.decode(done.stdout, type=tuple[float, float])
    return Batch("onnxruntime alone", frame.height, wall_s, cpu_s)


def alone(model: Path, table: Path, calls: int) -> tuple[float, float]:
    """Median seconds of a call, and mean CPU seconds; the first call, which allocates, is not counted."""
    from storage import Predictor
    from storage.boundary import blocks_of_frame, typed

    predictor = Predictor.open(model)
    blocks = blocks_of_frame(predictor.signature, typed(predictor.signature, pl.read_parquet(table)))
    predictor.run(blocks)
    took: list[float] = []
    before_s = time.process_time()
    for _ in range(calls):
        began = time.perf_counter()
        predictor.run(blocks)
        took.append(time.perf_counter() - began)
    return median(took), (time.process_time() - before_s) / calls


def _post(server: Server, name: str, frame: pl.DataFrame, calls: int) -> Batch:
    media_type, written = FORMATS[name]
    body = written(frame)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    took: list[float] = []
    before_s, answer = 0.0, b""
    for call in range(calls + 1):
        began = time.perf_counter()
        connection.request("POST", PATH, body, {"content-type": media_type})
        response = connection.getresponse()
        answer = response.read()
        took.append(time.perf_counter() - began)
        if response.status == _UNKNOWN:
            return Batch(name, frame.height, None, None)
        assert response.status == 200, f"{name}: {response.status} {answer[:300]!r}"
        if call == 0:  # the first, which allocates and learns, is not counted
            before_s = _settled_cpu_s(server)
    spent_s = _settled_cpu_s(server) - before_s
    connection.close()
    return Batch(name, frame.height, median(took[1:]), spent_s / calls, len(body) / 1e6, len(answer) / 1e6)


def _settled_cpu_s(server: Server) -> float:
    """CPU seconds so far, once what was captured has been written."""
    spent_s, before_s = server.cpu_s(), -1.0
    while spent_s - before_s > 0.02:
        time.sleep(0.5)
        before_s, spent_s = spent_s, server.cpu_s()
    return spent_s


def _csv(frame: pl.DataFrame) -> bytes:
    return frame.with_columns(_TIMES.dt.strftime("%Y-%m-%dT%H:%M:%S")).write_csv().encode()


def _json_lines(frame: pl.DataFrame) -> bytes:
    return "\n".join(json_rows(frame)).encode()


def _arrow(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_ipc_stream(file)
    return file.getvalue()


def _parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


FORMATS: dict[str, tuple[str, Callable[[pl.DataFrame], bytes]]] = {
    "JSON": ("application/json", json_array),
    "CSV": ("text/csv", _csv),
    "JSON Lines": ("application/jsonlines", _json_lines),
    "Arrow stream": ("application/vnd.apache.arrow.stream", _arrow),
    "Parquet": ("application/vnd.apache.parquet", _parquet),
}


def _print(rows: int, alone: Batch, found: list[Batch]) -> None:
    head = ["format", "rows/s", "ms", "overhead", "CPU µs/row", "CPU overhead", "body MB", "answer MB"]
    print_table(f"{rows:,} rows in a body", head, [_row(one, alone) for one in [alone, *found]])


def _row(one: Batch, alone: Batch) -> list[str]:
    if one.s is None or one.cpu_s is None:
        return [one.format, "n/a", *["-"] * 6]
    assert alone.s
    assert alone.cpu_s
    return [
        one.format,
        told(one.rows / one.s),
        told(one.s * 1e3, ".1f"),
        told(one.s / alone.s - 1, ".0%") if one is not alone else "-",
        told(one.cpu_s / one.rows * 1e6, ".1f"),
        told(one.cpu_s / alone.cpu_s - 1, ".0%") if one is not alone else "-",
        told(one.body_mb or None, ".2f"),
        told(one.answer_mb or None, ".2f"),
    ]


if __name__ == "__main__":
    print(msgspec.json.encode(alone(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))).decode())

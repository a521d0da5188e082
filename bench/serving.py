"""`python -m bench.serving`: what the hot path costs beside a bare Litestar route and raw ASGI.

Five servers, each one process on uvicorn with uvloop and httptools, are asked in turn by wrk with the same JSON row:

    raw ASGI            reads the body, sends it back
    raw ASGI, model     the same, and runs the model on a row that was decoded before: the floor for any server
    litestar echo       decodes the row into a struct, encodes it again
    serving             decodes, predicts, encodes, captures
    serving, uncaptured the same with capture switched off

CPU is user and system time of the server's process for each request, from /proc; each server's cheapest run counts,
since neighbours only ever add. Requests a second and p99 say more about the machine's other tenants than about servers.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from serving.__main__ import Server, listen
from storage import Predictor, Store
from storage.boundary import blocks_of_rows
from tests import portable

ROW = b'{"amount":4.0,"town":"Ulm","visits":2,"seen":"2023-05-01"}'
ANSWER = [(b"content-type", b"application/json"), (b"content-length", str(len(ROW)).encode())]
PEERS = ("raw ASGI", "raw ASGI, model", "litestar echo")
SERVERS = (*PEERS, "serving", "serving, uncaptured")


class Row(msgspec.Struct):
    """The row above, typed."""

    amount: float | None
    town: str | None
    visits: float | None
    seen: str | None


class Measure(NamedTuple):
    """One run of wrk against one server; p99 of the whole way, with its unit."""

    cpu_us: float
    requests_per_s: float
    p99: str


def main() -> None:
    """Measure in rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each run")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        app = litestar_echo() if options.peer == "litestar echo" else raw_asgi(with_model="model" in options.peer)
        listener = listen("127.0.0.1", 0)
        Server(app, f"Serving http://127.0.0.1:{listener.getsockname()[1]}").run(sockets=[listener])
        return
    runs: dict[str, list[Measure]] = {name: [] for name in SERVERS}
    for _ in range(options.rounds):
        for name in SERVERS:
            runs[name].append(measure(name, options.seconds, options.connections))
    print_table(runs)


def measure(name: str, seconds: int, connections: int) -> Measure:
    """Start a server, warm it for a second, and let wrk ask it."""
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(command(name, folder), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout is not None
        url = server.stdout.readline().split()[1]
        script = Path(folder, "post.lua")
        headers = "wrk.headers['content-type'] = 'application/json'"
        script.write_text(f"wrk.method = 'POST'\nwrk.body = '{ROW.decode()}'\n{headers}\n")
        wrk = ["wrk", "-t1", f"-c{connections}", "--latency", "-s", str(script), f"{url}/invocations"]
        subprocess.run([*wrk, "-d1s"], check=True, capture_output=True)
        before_s = cpu_s(server.pid)
        text = subprocess.run([*wrk, f"-d{seconds}s"], check=True, capture_output=True, text=True).stdout
        spent_s = cpu_s(server.pid) - before_s
        server.terminate()
        server.wait()
    assert "Non-2xx" not in text, text
    requests = int(found(r"(\d+) requests in", text))
    return Measure(spent_s / requests * 1e6, requests / seconds, found(r"99%\s+([\d.]+m?u?s)", text))


def print_table(runs: dict[str, list[Measure]]) -> None:
    """One line for each server, of its cheapest run; the ratio is CPU against the bare Litestar route."""
    best = {name: min(rounds) for name, rounds in runs.items()}
    print(f"{'server':<22}{'CPU us/request':>16}{'of litestar echo':>18}{'requests/s':>12}{'p99':>10}")
    for name, run in best.items():
        ratio = run.cpu_us / best["litestar echo"].cpu_us
        print(f"{name:<22}{run.cpu_us:>16.1f}{ratio:>18.2f}{run.requests_per_s:>12.0f}{run.p99:>10}")


def cpu_s(pid: int) -> float:
    """User and system time of a process and its threads; man proc_pid_stat, fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def raw_asgi(*, with_model: bool) -> Any:
    """The least that an ASGI application can do; with a model, the least that a prediction can cost."""
    predictor = Predictor(portable.classifier())
    blocks = blocks_of_rows(predictor.signature, portable.ROWS[:1])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            body = (await receive())["body"]
            if with_model:
                predictor.run_once(blocks)
            await send({"type": "http.response.start", "status": 200, "headers": ANSWER})
            await send({"type": "http.response.body", "body": body})

    return app


def litestar_echo() -> Any:
    """A Litestar application with one typed route."""
    from litestar import Litestar, post

    @post("/invocations", status_code=200)
    async def echo(data: Row) -> Row:
        return data

    return Litestar([echo], openapi_config=None, logging_config=None)


def command(name: str, folder: str) -> list[str]:
    """What starts a server; each prints a line with its address when it is ready."""
    if name in PEERS:
        return [sys.executable, "-m", "bench.serving", "--peer", name]
    store = Store.open(Path(folder, "store"))
    version = portable.publish(store, portable.classifier())
    store.endpoints.deploy("demo", version, datetime.now(UTC), capture=name == "serving")
    store.close()
    return [sys.executable, "-m", "serving", "--store", str(store.root), "--port", "0"]


def found(pattern: str, text: str) -> str:
    """The first group of a pattern that must be in the text."""
    match = re.search(pattern, text)
    assert match, text
    return match[1]


if __name__ == "__main__":
    main()

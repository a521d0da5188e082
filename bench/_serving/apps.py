"""The floors beside us, each a process: `python -m bench._serving.apps NAME --folder SUBJECT --port PORT`.

    raw        reads the body, sends it back: the least that an ASGI application can do
    model      the same, and runs the model on a row that was decoded before: the least that a prediction can cost
    echo       a bare Litestar route that decodes the row into a struct and encodes it again
    serving    ours, in granian; in uvicorn `python -m serving` itself is asked
    null       no HTTP: something is sent for whatever comes. What the load can do at most

They run in uvicorn with uvloop and httptools, or with --granian in granian, one worker. Granian is no dependency of
this project: --granian names the folder of packages that were installed elsewhere, for the same Python.
"""

import argparse
import asyncio
import itertools
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

_APP, _FOLDER = "BENCH_SERVING_APP", "BENCH_SERVING_FOLDER"
_NULL = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[*APPS, "null"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--granian")
    chosen = parser.parse_args()
    if chosen.name == "null":
        asyncio.run(answer_anything(chosen.port))
    elif chosen.granian:
        run_granian(chosen.name, chosen.folder, chosen.port, chosen.granian)
    else:
        run_uvicorn(APPS[chosen.name](chosen.folder), chosen.port)


def run_uvicorn(app: Any, port: int) -> None:
    """As ours runs in it."""
    import uvicorn

    uvicorn.run(app, port=port, http="httptools", ws="none", log_config=None, access_log=False, server_header=False)


def run_granian(name: str, folder: Path, port: int, packages: str) -> None:
    """One worker, which makes its application itself."""
    sys.path.append(packages)
    from granian import Granian  # type: ignore[import-not-found]

    os.environ |= {_APP: name, _FOLDER: str(folder)}
    Granian(
        "bench._serving.apps:create", port=port, interface="asgi", factory=True, websockets=False, log_enabled=False
    ).serve()


def create() -> Any:
    """The application that `run_granian` asks for, in its worker."""
    return APPS[os.environ[_APP]](Path(os.environ[_FOLDER]))


def raw(folder: Path) -> Any:
    """Sends the body back."""
    return _asgi(lambda: None)


def model(folder: Path) -> Any:
    """Predicts in turn the rows that are sent, decoded before."""
    from bench._serving.subject import BODIES
    from storage import Predictor
    from storage.boundary import blocks_of_rows

    predictor = Predictor.open(folder / "model.onnx")
    rows = [msgspec.json.decode(line) for line in (folder / "rows.jsonl").read_bytes().splitlines()[:BODIES]]
    blocks = itertools.cycle([blocks_of_rows(predictor.signature, [row]) for row in rows])
    return _asgi(lambda: predictor.run_once(next(blocks)))


def _asgi(work: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        work()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def echo(folder: Path) -> Any:
    """A typed row in, the same out."""
    from litestar import Litestar, get, post

    is_number: list[tuple[str, bool]] = msgspec.json.decode((folder / "columns.json").read_bytes())
    fields = [(f"column_{at}", float | None if number else str | None) for at, (_, number) in enumerate(is_number)]
    names = {f"column_{at}": name for at, (name, _) in enumerate(is_number)}
    row: Any = msgspec.defstruct("Row", fields, rename=names)  # type: ignore[arg-type]

    async def invocations(data: Any) -> Any:
        return data

    @get("/ping")
    async def ping() -> str:
        return ""

    invocations.__annotations__ = {"data": row, "return": row}
    handler = post("/{path:path}", status_code=200)(invocations)
    return Litestar([handler, ping], openapi_config=None, logging_config=None)


def serving(folder: Path) -> Any:
    """Ours, taken out of `python -m serving`, which a thread keeps open while granian runs what it made."""
    import serving.__main__ as program

    made: queue.Queue[Any] = queue.Queue()

    class Taken:
        def __init__(self, app: Any, *_: Any, **__: Any) -> None:
            made.put(app)

        def run(self, *_: Any, **__: Any) -> None:
            threading.Event().wait()

    program.Server = Taken  # type: ignore[misc, assignment]
    threading.Thread(target=program.main, args=(["--store", str(folder), "--port", "0"],), daemon=True).start()
    return made.get(timeout=60)


APPS = {"raw": raw, "model": model, "echo": echo, "serving": serving}


async def answer_anything(port: int) -> None:
    """Each piece that arrives is answered as if it were a request: true of small ones."""

    class Null(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self._transport = transport

        def data_received(self, data: bytes) -> None:
            self._transport.write(_NULL)

    server = await asyncio.get_running_loop().create_server(Null, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    main()

"""`python -m serving`: serve the endpoints of a store over HTTP until told to stop."""

import argparse
import errno
import logging
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Any

import uvicorn

from serving.app import Parts, create_app
from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.engine import Engine
from serving.errors import AddressError
from serving.hot import HotPath
from serving.invocations import Invocations
from serving.protocols import tf_serving
from storage import AutopilotError, InputError, Settings, Store

_DRAIN_S = 25  # container platforms send SIGKILL 30 s after SIGTERM
_KEEP_ALIVE_S = 75  # longer than the 60 s of common load balancers, so that they close first
_BACKLOG = 2048


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0, 1 for a failure, 2 for bad usage."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("serving").setLevel(logging.INFO)
    try:
        options = _parse(arguments)
        with ExitStack() as stack:
            _serve(options, stack)
    except AutopilotError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    settings = Settings.load()
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.add_argument("--store", default=settings.store, help="folder of the store (%(default)s)")
    parser.add_argument("--host", default=settings.host, help="address to listen on (%(default)s)")
    parser.add_argument("--port", default=settings.port, type=_port, help="TCP port; 0 takes a free one (%(default)s)")
    parser.set_defaults(max_body_bytes=settings.max_body_bytes, max_rows=settings.max_rows)
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port. Use a number from 1 to 65535.")
    return int(text)


def _serve(options: argparse.Namespace, stack: ExitStack) -> None:
    """Take the port, open the store, load the endpoints, and answer until told to stop."""
    listener = stack.enter_context(listen(options.host, options.port))
    store = Store.open(options.store)
    stack.callback(store.close)
    capture = stack.enter_context(Capture(store.traffic))
    live = stack.enter_context(LiveEndpoints(store))
    engine = stack.enter_context(_engine(capture, options))
    invocations = Invocations(live, engine)
    app = create_app(Parts(store, live, invocations, options.max_body_bytes))
    protocols = {tf_serving.PREFIX: tf_serving.TfServing(live, engine)}
    hot = HotPath(invocations, live, app, options.max_body_bytes, protocols)
    server = Server(hot, f"Serving {_url(listener)} from {store.root}")
    engine.under_way = server.server_state.tasks
    server.run(sockets=[listener])


def _engine(capture: Capture, options: argparse.Namespace) -> Engine:
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Engine(capture, threads=threads, max_body_bytes=options.max_body_bytes, max_rows=options.max_rows)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises AddressError that tells what to do.

    It is made before anything is loaded: a port in use is told at once, and whoever connects early is answered late
    rather than refused.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except OSError as error:
        raise _address_error(host, port, error) from error


def _address_error(host: str, port: int, error: OSError) -> AddressError:
    if error.errno == errno.EADDRINUSE:
        return AddressError(f"Port {port} on {host} is in use by another program. Choose another with --port.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return AddressError(f"Port {port} on {host} needs more rights. Choose one above 1023 with --port.")
    return AddressError(
        f"Cannot listen on {host!r}, port {port}: {error.strerror}. "
        "Give an address of this machine with --host, such as 127.0.0.1 or 0.0.0.0."
    )


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn, set up for many small requests; it says when it is ready and ends with exit code 0 when told to stop."""

    def __init__(self, app: Any, ready: str) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="auto",  # uvloop where it is installed, which is everywhere but Windows
                http="httptools",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_DRAIN_S,
                backlog=_BACKLOG,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        print(self._ready, flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain; a second signal does not wait. uvicorn's own raises the signal again in the end, and exits with it."""
        self.force_exit = self.should_exit
        self.should_exit = True


if __name__ == "__main__":
    sys.exit(main())

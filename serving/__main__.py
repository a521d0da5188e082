"""`python -m serving`: serve the endpoints of a store over HTTP until told to stop."""

import argparse
import errno
import gc
import logging
import os
import socket
import sys
from argparse import SUPPRESS
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from serving.access_log import AccessLog
from serving.addresses import local_url, url_of
from serving.app import Parts, create_app
from serving.asynchronous.acceptance import Acceptance
from serving.asynchronous.calm import Calm
from serving.asynchronous.policy import Policy
from serving.asynchronous.routes import Asynchronous
from serving.asynchronous.worker import Worker
from serving.batch.allowed import allowed_of
from serving.batch.dispatcher import Dispatcher
from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.engine import Engine
from serving.errors import AddressError
from serving.exposition import Exposition
from serving.heartbeat import Heartbeat
from serving.hot import HotPath, Protocol
from serving.invocations import Invocations
from serving.limits import Limits
from serving.observed import Observed, Observer
from serving.origins import Origins
from serving.protocols import inference_v2, tf_serving
from serving.protocols.sagemaker import container, streams
from serving.rollouts.controller import Controller
from serving.server import BACKLOG, Alone, Connection, Server
from serving.traces import traces_of
from serving.wire import Wire, WireConnection
from serving.workers.bounds import bounds_of
from serving.workers.lines import whole_lines
from serving.workers.supervisor import supervise
from serving.workers.worker import Inherited, Link
from storage import AutopilotError, InputError, Settings, Store
from storage.parent import end_with_parent
from storage.streams import open_streams

_MODEL = Path("/opt/ml/model")  # where SageMaker unpacks the model of an endpoint


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0, 1 for a failure, 2 for bad usage."""
    open_streams()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("serving").setLevel(logging.INFO)
    try:
        options = _parse(arguments)
        if options.parent is not None and options.worker is None:
            end_with_parent(options.parent)
        with ExitStack() as stack:
            if options.worker is None and str(options.workers) != "1":
                bounds = bounds_of(str(options.workers), _threads())
                listener = stack.enter_context(listen(options.host, options.port))
                return supervise(listener, sys.argv[1:] if arguments is None else arguments, bounds)
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
    model = _MODEL if any(_MODEL.glob("*.onnx")) else None
    parser.add_argument("--model", default=model, type=Path, help="also serve this model file, or folder with one")
    parser.add_argument("--name", help="the endpoint that serves --model (the file's name)")
    parser.add_argument(
        "--models", default=container.MODELS, type=Path, help="folder that POST /models loads from (%(default)s)"
    )
    parser.add_argument(
        "--access-log",
        default=settings.access_log,
        action=argparse.BooleanOptionalAction,
        help="write a line of JSON for each request to stdout",
    )
    parser.add_argument(
        "--workers", default=settings.workers, help="processes that answer: 4, 1..8 by load, auto (%(default)s)"
    )
    parser.add_argument("--worker", type=Inherited.of, help=SUPPRESS)
    parser.add_argument("--parent", type=int, help=SUPPRESS)
    parser.set_defaults(max_body_bytes=settings.max_body_bytes, max_rows=settings.max_rows)
    parser.set_defaults(policy=Policy.of(settings), settings=settings)
    parser.set_defaults(memory_bytes=settings.model_memory_mb and settings.model_memory_mb * 1_000_000)
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port. Use a number from 1 to 65535.")
    return int(text)


def _serve(options: argparse.Namespace, stack: ExitStack) -> None:
    """Take the port, open the store, load the endpoints, and answer until told to stop."""
    listener = stack.enter_context(_listener(options))
    store = Store.open(options.store)
    stack.callback(store.close)
    capture = stack.enter_context(Capture(store.traffic))
    limits = Limits(options.max_body_bytes, options.max_rows)
    live = stack.enter_context(LiveEndpoints(store, limits, memory_bytes=options.memory_bytes))
    heartbeat = stack.enter_context(Heartbeat(store, live, local_url(listener)))
    rollouts = stack.enter_context(Controller(store, live, heartbeat.id))
    engine = stack.enter_context(_engine(capture, options))
    invocations = Invocations(live, engine)
    exposition = Exposition(live, engine.admission, capture)
    exposition.watch_jobs(store)
    exposition.watch_schedules(store)
    exposition.watch_rollouts(rollouts)
    stack.enter_context(Dispatcher(store))
    asynchronous = _asynchronous(
        store, live, engine, heartbeat.id, stack.enter_context(_engine(capture, options)), options
    )
    exposition.watch_async(store, asynchronous.worker)
    batch_places = allowed_of(options.settings, store.root, listener.getsockname()[0])
    parts = Parts(store, live, invocations, options.max_body_bytes, exposition, batch_places)
    app = create_app(parts, asynchronous)
    if options.model is not None:
        live.hold(options.name or options.model.stem, options.model)
    protocols = _protocols(live, invocations, engine, options)
    origins = Origins(options.settings.origins.split())
    hot = HotPath(invocations, live, app, options.max_body_bytes, protocols, origins)
    observers = list(_observers(options, stack))
    observed = Observed(hot, live.metrics.observe, *observers)
    serving = f"Serving {url_of(listener)} from {store.root}"
    # the access log and traces read the scope, which requests on the wire have not
    wire = Wire(invocations, engine, live.metrics.observe)
    server = Server(observed, serving, Connection if observers else partial(WireConnection, wire))
    server.life = Alone(serving, live.leave)
    if options.worker is not None:
        supervisor = stack.enter_context(socket.socket(fileno=options.worker.supervisor))
        server.life = link = Link(supervisor, server, serving, live, exposition.own)
        exposition.others = link.others
        live.is_alone = False
    engine.company = lambda: len(server.server_state.tasks) - hot.uploading
    _favour_the_event_loop()
    server.run(sockets=[listener])


def _favour_the_event_loop() -> None:
    """Let threads hold the interpreter for half a millisecond, not five, and spare the collector what never dies.

    The threads that follow the store and write captures made one request in a hundred ten times as long.
    """
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _observers(options: argparse.Namespace, stack: ExitStack) -> Iterator[Observer]:
    """Who is told of each request, beside the metrics, where it is asked for."""
    if options.access_log:
        yield stack.enter_context(AccessLog(sys.stdout if options.worker is None else whole_lines(1))).observe
    if (traces := traces_of(os.environ)) is not None:
        yield stack.enter_context(traces).observe


def _engine(capture: Capture, options: argparse.Namespace) -> Engine:
    return Engine(capture, threads=_threads(), max_body_bytes=options.max_body_bytes, max_rows=options.max_rows)


def _asynchronous(
    store: Store,
    live: LiveEndpoints,
    engine: Engine,
    owner: str,
    own: Engine,
    options: argparse.Namespace,
) -> Asynchronous:
    """What answers async invocations. own: its own engine; engine: that of the requests which come first."""
    policy: Policy = options.policy
    invocations = Invocations(live, own)
    worker = Worker(
        store, live, invocations, policy, owner, Calm(engine, lambda: acceptance.under_way), options.max_body_bytes
    )
    acceptance = Acceptance(store, live, invocations, policy, options.max_body_bytes, worker.wake)
    return Asynchronous(store, live, acceptance, worker)


def _protocols(
    live: LiveEndpoints, invocations: Invocations, engine: Engine, options: argparse.Namespace
) -> Mapping[str, Protocol]:
    """The protocols beside invocations, by the beginning of their paths."""
    sagemaker = container.Container(
        live, invocations, threads=_threads(), max_body_bytes=options.max_body_bytes, models=options.models
    )
    return {
        inference_v2.PREFIX: inference_v2.InferenceV2(live, engine),
        tf_serving.PREFIX: tf_serving.TfServing(live, engine),
        streams.PATHS: streams.ResponseStreams(invocations, engine),
        **dict.fromkeys(container.PREFIXES, sagemaker),
    }


def _threads() -> int:
    """One for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _listener(options: argparse.Namespace) -> socket.socket:
    """Where to listen: taken, or inherited by a worker."""
    if options.worker is None:
        return listen(options.host, options.port)
    return socket.socket(fileno=options.worker.listener)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises AddressError that tells what to do.

    It is made before anything is loaded: a port in use is told at once, and whoever connects early is answered late
    rather than refused.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
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


if __name__ == "__main__":
    sys.exit(main())

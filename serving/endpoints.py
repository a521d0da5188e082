"""The endpoints that this process serves, kept in step with the store.

A thread asks the store four times a second. A changed endpoint is loaded and warmed beside the one that serves, and
then takes its place by one assignment: requests see the old one or the new one, never none. The old one is freed when
the last request that holds it is answered. A version that cannot be loaded leaves the old one serving.
"""

import logging
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from serving.admission import Pace
from serving.cost import cost_of
from serving.drain import Drain, is_steady
from serving.errors import NotReadyError, ServedAlreadyError, UnknownEndpointError, UnnamedEndpointError
from serving.exchange import note_endpoint
from serving.explaining import Explaining
from serving.formats import FEW_ROWS, Answer, Formats
from serving.likely_rows import likely_rows
from serving.limits import USUAL, Limits
from serving.metrics import EndpointMetrics, Key, Metrics, Times
from storage import AutopilotError, InputError, Predictor, Store
from storage.boundary import Blocks
from storage.endpoints import MAIN
from storage.predictor import Outputs
from storage.records import CapturePolicy, Endpoint, Variant
from storage.traffic import Header

if TYPE_CHECKING:
    from storage.explain import Explainer

_POLL_S = 0.25
_INLINE_S = 0.002  # of a run in the event loop: 20 hops to a thread, and nobody notices
_STEADY_ROW_S = 0.0005  # heavier models gain nothing by company, and are not tried
_TRIED_ROWS = 1_000  # models were seen that company changes in one row of fifty
_INLINE_BYTES, _INLINE_TEXT_BYTES = 100_000, 10_000  # long texts cost, and lengthen those they run together with
_TOGETHER_S = 0.005  # of a run of many requests: each of them would have waited as long for the others
_RETRY_S = 10.0  # a version that failed to load is tried again after this: a blob may arrive late
_STALE_S = 10.0  # without word from the store for so long, the process calls itself unhealthy
_SECONDS_PER_BYTE = 2e-7  # of the first large bodies: 30 us for a row of 150 bytes

_HELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,255}")  # SageMaker's are hashes of a model's address

_Made = TypeVar("_Made")

_log = logging.getLogger(__name__)


class Answered(NamedTuple):
    """What watchers are told. times: as in `EndpointMetrics.answer`."""

    inference_id: str
    blocks: Blocks
    outputs: Outputs
    times: Times


#: It may not raise.
Watcher = Callable[[Answered], None]


class LiveVariant:
    """One variant of an endpoint with its model, ready to answer; safe to share between threads but for `drain`.

    inline_rows, inline_bytes: of requests that the event loop answers itself; beyond them others are held up for long.

    watchers: are told of each answer, in the event loop, which waits for them.

    What a protocol makes of a model once, it keeps here: `of`.
    """

    def __init__(
        self,
        record: Endpoint,
        predictor: Predictor,
        explaining: Explaining | None = None,
        metrics: EndpointMetrics | None = None,
        limits: Limits = USUAL,
    ) -> None:
        self.record = record
        self.predictor = predictor
        self.signature = predictor.signature
        header = Header(record.name, record.model, record.version, self.signature)
        self.header = header if record.capture.share > 0 else None
        self.reply_headers = [
            (b"x-amzn-invoked-production-variant", b"main"),
            (b"x-autopilot-model", f"{record.model}:{record.version}".encode()),
        ]
        self.formats = Formats(self.signature, limits)
        self.metrics = metrics or EndpointMetrics(record.name, record.model, record.version)
        rows = likely_rows(self.signature, FEW_ROWS)
        cost = cost_of(predictor, rows)
        self.inline_rows = min(FEW_ROWS, cost.rows_within(_INLINE_S))
        self.drain = Drain(
            predictor,
            self.metrics,
            steady=cost.row_s < _STEADY_ROW_S and is_steady(predictor, likely_rows(self.signature, _TRIED_ROWS)),
            most_rows=max(1, cost.rows_within(_TOGETHER_S)),
        )
        self.inline_bytes = _INLINE_TEXT_BYTES if self.signature.of_kind("text") else _INLINE_BYTES
        self.pace = Pace(_SECONDS_PER_BYTE)
        self.explaining = explaining
        self.watchers: tuple[Watcher, ...] = ()
        self._made: dict[type, Any] = {}

    def of(self, kind: Callable[["LiveVariant"], _Made]) -> _Made:
        """What a class makes of this endpoint; made once."""
        made = self._made.get(kind)  # pyright: ignore[reportArgumentType] classes alone are asked for
        if made is None:
            made = self._made[kind] = kind(self)  # pyright: ignore[reportArgumentType]
        return made

    def warm(self) -> None:
        """Run once what later requests run, one row and a batch: first calls are slow."""
        for rows in (1, FEW_ROWS):
            outputs = self.predictor.run(likely_rows(self.signature, rows))
            for answers in (self.formats.answers["json"], self.formats.answers["csv"]):
                answers.write(Answer(outputs))


class LiveEndpoints:
    """All live endpoints. Use it as a context: entering it loads those that the store has.

    Beside them it serves model files that no store has; these are not followed, and not captured.
    """

    def __init__(self, store: Store, limits: Limits = USUAL) -> None:
        self.metrics = Metrics()
        self._store = store
        self._limits = limits
        self._live: Mapping[str, LiveVariant] = {}
        self._held: Mapping[str, Path] = {}
        self._refreshing = threading.Lock()
        self._changing = threading.Lock()  # of the two above: files come and go in other threads than the store's
        self._failed: dict[str, tuple[int, float]] = {}  # name to the revision that failed, and when to try again
        self._heard_at = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="endpoints", daemon=True)

    def __enter__(self) -> "LiveEndpoints":
        self.refresh()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def live(self) -> Mapping[str, LiveVariant]:
        """Live endpoints by name; a snapshot."""
        return self._live

    @property
    def held(self) -> Mapping[str, Path]:
        """Model files that are served beside the store's endpoints, by name; a snapshot."""
        return self._held

    def hold(self, name: str, path: Path) -> None:
        """Serve a model file under a name, until `let_go` or the end of the process.

        Raises ServedAlreadyError, InputError for a bad name or a file that there is not, and ModelFileError.
        """
        if not _HELD_NAME.fullmatch(name):
            raise InputError(f"{name[:80]!r} cannot name a model. Use letters, digits, '_', '-' and '.'.")
        now = datetime.now(UTC)
        record = Endpoint(name, (Variant(MAIN, name, 0),), 0, now, now, capture=CapturePolicy(share=0.0))
        endpoint = LiveVariant(record, _open(path), metrics=self.metrics.of(name, name, 0), limits=self._limits)
        endpoint.warm()
        with self._changing:
            if name in self._live:
                raise ServedAlreadyError(f"A model is served as {name!r} already. Unload it first.")
            self._held = {**self._held, name: path}
            self._live = {**self._live, name: endpoint}
        _log.info("Model file %s is served as %r.", path, name)

    def let_go(self, name: str) -> None:
        """End serving a model file. Raises UnknownEndpointError if none is served under this name."""
        with self._changing:
            if name not in self._held:
                raise UnknownEndpointError(
                    f"No model file is served as {name!r}. Those are: {', '.join(sorted(self._held)) or 'none'}."
                )
            self._held = {other: path for other, path in self._held.items() if other != name}
            self._live = {other: endpoint for other, endpoint in self._live.items() if other != name}

    def find(self, name: str | None) -> LiveVariant:
        """The endpoint of a name, or the only one if there is no name.

        Raises UnknownEndpointError and UnnamedEndpointError, which list those that exist.
        """
        live = self._live
        if name is None and len(live) == 1:
            name = next(iter(live))
        if name is None and live:
            raise UnnamedEndpointError(
                f"The path names no endpoint, and there are {len(live)}. POST to one of {_paths(live)}."
            )
        endpoint = live.get(name) if name is not None else None
        if endpoint is None:
            raise _unknown(name, live)
        note_endpoint(endpoint.metrics)
        return endpoint

    @property
    def silent_s(self) -> float:
        """Seconds since the store last answered."""
        return monotonic() - self._heard_at

    def check(self) -> None:
        """Raise NotReadyError if the store has not answered for ten seconds."""
        silent_s = self.silent_s
        if silent_s > _STALE_S:
            raise NotReadyError(f"The store has not answered for {silent_s:.0f} s. The log tells why.")

    def refresh(self) -> None:
        """Load what changed in the store since the last call, and let go of what it no longer has.

        One thread at a time: who read the store before another would take away what that has loaded.
        """
        with self._refreshing:
            self._refresh()

    def _refresh(self) -> None:
        try:
            records = self._store.endpoints.list()
        except AutopilotError as error:
            if monotonic() - self._heard_at > _STALE_S:
                _log.error("The store does not answer; serving what was loaded. %s", error)
            return
        self._heard_at = monotonic()
        for record in records:
            if self._is_due(record):
                self._load(record)
        with self._changing:
            names = {record.name for record in records} | self._held.keys()
            if not names.issuperset(self._live):
                self._live = {name: endpoint for name, endpoint in self._live.items() if name in names}
        live = {Key(e.record.name, e.record.model, e.record.version) for e in self._live.values()}
        self.metrics.keep(live, names, monotonic())

    def _is_due(self, record: Endpoint) -> bool:
        """Whether a record is newer than what serves, and its loading has not just failed."""
        if record.name in self._held:
            return False
        live = self._live.get(record.name)
        revision, retry_at = self._failed.get(record.name, (-1, 0.0))
        return (live is None or live.record.revision != record.revision) and (
            revision != record.revision or monotonic() >= retry_at
        )

    def _load(self, record: Endpoint) -> None:
        model = f"{record.model}:{record.version}"
        loads, began = self.metrics.loads_of(record.name), monotonic()
        try:
            predictor = self._predictor(record)
            metrics = self.metrics.of(record.name, record.model, record.version)
            endpoint = LiveVariant(record, predictor, self._explaining(record, predictor), metrics, self._limits)
            endpoint.warm()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a new model, the old one goes on serving
            loads.failed += 1
            self._failed[record.name] = (record.revision, monotonic() + _RETRY_S)
            old = self._live.get(record.name)
            serving = f"{old.record.model}:{old.record.version} goes on serving" if old else "nothing serves it"
            reason = str(error) if isinstance(error, AutopilotError) else repr(error)
            _log.error("Endpoint %r could not switch to %s: %s; %s.", record.name, model, reason, serving)
            return
        self._failed.pop(record.name, None)
        loads.loaded += 1
        loads.seconds += monotonic() - began
        with self._changing:
            if record.name in self._held:
                return  # it came while this was loading
            self._live = {**self._live, record.name: endpoint}
        _log.info("Endpoint %r serves %s.", record.name, model)

    def _predictor(self, record: Endpoint) -> Predictor:
        """The model of a record; the one that serves already if only other fields changed."""
        old = self._live.get(record.name)
        if old is not None and (old.record.model, old.record.version) == (record.model, record.version):
            return old.predictor
        version = self._store.models.get(f"{record.model}:{record.version}")
        return Predictor(self._store.models.read_file(version))

    def _explaining(self, record: Endpoint, predictor: Predictor) -> Explaining:
        def opened() -> "Explainer":
            from storage.explain import explainer_of  # loads onnx: only where somebody asks

            return explainer_of(self._store, self._store.models.get(f"{record.model}:{record.version}"), predictor)

        return Explaining(opened)

    def _follow(self) -> None:
        while not self._stopping.wait(_POLL_S):
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - a process that stops following serves an old model for ever
                _log.exception("Endpoints could not be followed; the next try is in %s s.", _POLL_S)


def _open(path: Path) -> Predictor:
    """The model of a file, or of the only `.onnx` file in a folder."""
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
    if len(files) != 1:
        raise InputError(f"The folder {str(path)!r} has {len(files)} .onnx files. Put one there, or name the file.")
    if files[0].exists() and not files[0].is_file():  # a pipe would be waited for
        raise InputError(f"{str(files[0])!r} is no file. Name a model file.")
    return Predictor.open(files[0])


def _unknown(name: str | None, live: Mapping[str, LiveVariant]) -> UnknownEndpointError:
    if not live:
        return UnknownEndpointError(
            "No endpoint is served yet. Deploy a model: autopilot deploy MODEL --endpoint NAME."
        )
    return UnknownEndpointError(f"There is no endpoint {name!r}. POST to {_paths(live)}.")


def _paths(live: Mapping[str, LiveVariant]) -> str:
    shown = ", ".join(f"/endpoints/{name}/invocations" for name in sorted(live)[:8])
    return f"{shown} and {len(live) - 8} more; GET /api/endpoints lists all" if len(live) > 8 else shown

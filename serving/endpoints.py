"""The endpoints that this process serves, kept in step with the store.

A thread asks the store four times a second. What an endpoint newly needs is loaded, tried and warmed beside what
serves, and then the whole new configuration takes the place of the old one by one assignment: requests see one or the
other, never none, and never half. Where only weights, capture or limits change, nothing is loaded. The old one is freed
when the last request that holds it is answered. A configuration of which any variant cannot be loaded leaves the old
one serving.

    LiveEndpoints        find(name, inference id)
    ├── Route            of each endpoint: which variant answers (`routes.py`)
    │   └── LiveVariant  a model with all that answers by it
    ├── Models           what is in memory, each file once (`loading.py`)
    └── Shadows          run beside what answers (`shadows.py`)
"""

import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from serving import metrics as counts
from serving.admission import Pace
from serving.capture_plan import plan_of
from serving.drain import Drain
from serving.errors import (
    NotReadyError,
    ServedAlreadyError,
    UnknownEndpointError,
    UnloadableError,
    UnloadedError,
    UnnamedEndpointError,
)
from serving.exchange import note_endpoint
from serving.explaining import Explaining
from serving.formats import FEW_ROWS, Answer, Formats
from serving.likely_rows import likely_rows
from serving.limits import USUAL, Limits
from serving.loading import Load, Model, Models, Sizes, total_bytes, trim
from serving.metrics import EndpointMetrics, Metrics, Times
from serving.routes import Route, UnloadedRoute
from serving.shadows import Shadows
from storage import AutopilotError, InputError, Predictor, Store
from storage.boundary import Blocks
from storage.predictor import Outputs
from storage.records import MAIN, CapturePolicy, Endpoint, Serving, Variant
from storage.shadows import subject_of

if TYPE_CHECKING:
    from storage.explain import Explainer

_POLL_S = 0.25
_LOADERS = 2  # endpoints that are loaded at once: a large one does not hold up a small one
_INLINE_S = 0.002  # of a run in the event loop: 20 hops to a thread, and nobody notices
_INLINE_BYTES, _INLINE_TEXT_BYTES = 100_000, 10_000  # long texts cost, and lengthen those they run together with
_TOGETHER_S = 0.005  # of a run of many requests: each of them would have waited as long for the others
_RETRY_S = 10.0  # a version that failed to load is tried again after this: a blob may arrive late
_STAY_S = 0.25  # for which an endpoint stays at least once it is loaded: who waited for it has to come to it
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

    record: the endpoint as it was when this began to serve; a change of it makes new ones. variant: its part of it.
    inline_rows, inline_bytes: of requests that the event loop answers itself; beyond them others are held up for long.

    capture: what is kept of its answers; None if nothing is.
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
        *,
        variant: Variant | None = None,
        model: Model | None = None,
    ) -> None:
        self.model = model = model or Model(predictor)
        self.predictor = predictor
        self.signature = predictor.signature
        self.explaining = explaining
        variant = variant or record.main
        self.metrics = metrics or EndpointMetrics(record.name, variant.model, variant.version, variant.name)
        self.drain = Drain(
            predictor, self.metrics, steady=model.steady, most_rows=max(1, model.cost.rows_within(_TOGETHER_S))
        )
        self.pace = Pace(_SECONDS_PER_BYTE)
        self._server_limits = limits
        self._limits: Limits | None = None
        self._configure(record, variant)

    def _configure(self, record: Endpoint, variant: Variant) -> None:
        """Take over what the records say."""
        self.record = record
        self.variant = variant
        self.capture = plan_of(record, variant, self.signature)
        self.reply_headers = [
            (b"x-amzn-invoked-production-variant", variant.name.encode()),
            (b"x-autopilot-model", variant.spec.encode()),
        ]
        limits = self._server_limits.or_tighter(record.limits)
        inline_bytes = _INLINE_TEXT_BYTES if self.signature.of_kind("text") else _INLINE_BYTES
        self.inline_rows = min(FEW_ROWS, self.model.cost.rows_within(_INLINE_S), limits.max_rows)
        self.inline_bytes = min(inline_bytes, limits.max_body_bytes)
        if limits != self._limits:
            self._limits, self.formats = limits, Formats(self.signature, limits)
        self.watchers: tuple[Watcher, ...] = ()
        self._made: dict[type, Any] = {}

    def revised(self, record: Endpoint, variant: Variant) -> "LiveVariant":
        """The same model as other records have it: other weights, capture or limits. Nothing is loaded."""
        new = copy(self)
        new._configure(record, variant)
        return new

    def is_of(self, record: Endpoint, variant: Variant) -> bool:
        """Whether it has the model that a record asks for."""
        mine = (self.variant.name, self.variant.spec, self.record.provider)
        return mine == (variant.name, variant.spec, record.provider)

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

    def retire(self) -> None:
        """Let go of what refers to this one: it serves no more, and its memory is free with its last request."""
        self._made = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of how it runs."""
        if self.record.provider == self.predictor.provider:
            return ()
        return (f"Asked to run on {self.record.provider}, which onnxruntime does not have here: runs on the CPU.",)


class _Failure(NamedTuple):
    """A configuration that could not be loaded. retry_at: by `monotonic`, when it is tried again."""

    record: Endpoint
    retry_at: float
    reason: str


class LiveEndpoints:
    """All live endpoints. Use it as a context: entering it loads those that the store has.

    Beside them it serves model files that no store has; these are not followed, and not captured. is_alone: whether no
    other worker answers on the same port; where there are others, files cannot come and go in one of them.

    memory_bytes: what the models of the store's endpoints may take, roughly; None loads all. With it, endpoints beyond
    are loaded when they are asked for, and those that were not asked for longest make room.
    """

    def __init__(self, store: Store, limits: Limits = USUAL, *, memory_bytes: int | None = None) -> None:
        self.metrics = Metrics()
        self.shadows = Shadows()
        self._store = store
        self._limits = limits
        self._memory_bytes = memory_bytes
        self._models = Models(store)
        self._routes: Mapping[str | None, Route | UnloadedRoute] = {}
        self._live: tuple[Mapping[str | None, Route | UnloadedRoute], Mapping[str, LiveVariant]] = ({}, {})
        self._held: Mapping[str, Path] = {}
        self._records: Mapping[str, Endpoint] = {}  # as the store last had them
        self._loading: dict[str, Load] = {}
        self._failed: dict[str, _Failure] = {}
        self._watching: list[Callable[[LiveVariant], Iterable[Watcher]]] = []
        self._refreshing = threading.Lock()
        self._changing = threading.Lock()  # of the routes and all below them: they change in several threads
        self._loader = ThreadPoolExecutor(_LOADERS, thread_name_prefix="load")
        self.changed = threading.Event()
        self.is_alone = True
        self._heard_at = float("-inf")
        self._is_leaving = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="endpoints", daemon=True)

    def __enter__(self) -> "LiveEndpoints":
        self.refresh()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._loader.shutdown(cancel_futures=True)
        self.shadows.__exit__()

    # ---------------------------------------------------------------------------------------------- who answers

    def find(self, name: str | None, inference_id: str | None = None, variant: str | None = None) -> LiveVariant:
        """The variant that answers, of the endpoint of a name, or of the only one if there is no name.

        It is the one of that name; otherwise the one drawn by the inference id, by weight; without either the main one.
        Raises UnknownEndpointError, UnnamedEndpointError and UnknownVariantError, which list those that exist,
        UnloadedError where the models are not in memory (`when_loaded` waits), and UnloadableError.
        """
        route = self._routes.get(name)
        if route is None:
            raise self._missing(name)
        found = route.only
        if found is None or variant is not None:
            found = route.choose(inference_id, variant)
        note_endpoint(found.metrics)
        return found

    def record(self, name: str) -> Endpoint:
        """The configuration that serves, or will once it is asked for. Raises what `find` raises, but UnloadedError."""
        route = self._routes.get(name)
        return self.find(name).record if route is None else route.record

    @property
    def records(self) -> list[Endpoint]:
        """The configurations that serve, or will once they are asked for, by name."""
        routes = {name: route for name, route in self._routes.items() if name is not None}
        return [routes[name].record for name in sorted(routes)]

    def variant_of(self, name: str, version: int | str) -> str | None:
        """The name of an endpoint's variant that serves a version of its model; the one of the greatest weight of
        several, None if there is none. Raises as `record`."""
        found = [variant for variant in self.record(name).variants if str(variant.version) == str(version)]
        return max(found, key=lambda variant: variant.weight).name if found else None

    def __contains__(self, name: object) -> bool:
        """Whether an endpoint may be asked for."""
        return name is not None and (name in self._routes or name in self._loading)

    @property
    def names(self) -> list[str]:
        """Endpoints that may be asked for, also those that are not in memory."""
        return sorted({*(name for name in self._routes if name is not None), *self._loading.copy()})

    @property
    def live(self) -> Mapping[str, LiveVariant]:
        """Main variants of the endpoints in memory, by the endpoint's name; a snapshot."""
        routes, live = self._routes, self._live
        if live[0] is not routes:
            found = {name: route.main for name, route in routes.items() if name and isinstance(route, Route)}
            self._live = live = (routes, found)
        return live[1]

    @property
    def variants(self) -> list[LiveVariant]:
        """All production variants in memory; a snapshot."""
        routes = [route for name, route in self._routes.items() if name is not None and isinstance(route, Route)]
        return [live for route in routes for live in route.variants.values()]

    @property
    def memory(self) -> int:
        """Bytes that the models in memory take, estimated."""
        return total_bytes([_sizes(route) for route in self._loaded().values()])

    @property
    def serving(self) -> dict[str, Serving]:
        """What this process makes of each endpoint of the store."""
        return {name: self._serving(record) for name, record in self._records.items() if name not in self._held}

    def forget_counts(self) -> None:
        """Forget what was counted of shadows of configurations that no longer serve, and was told."""
        self.shadows.keep(subject_of(route.record) for route in self._loaded().values())

    def watch(self, make: Callable[[LiveVariant], Iterable[Watcher]]) -> None:
        """Have the answers of each production variant told to watchers that are made for it, before it serves."""
        with self._changing:
            self._watching.append(make)
            for route in self._loaded().values():
                self._watched(route)

    # ------------------------------------------------------------------------------------------------ model files

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
        self._check_alone(name)
        now = datetime.now(UTC)
        record = Endpoint(name, (Variant(MAIN, name, 0),), 0, now, now, capture=CapturePolicy(share=0.0))
        live = LiveVariant(record, _open(path), metrics=self.metrics.of(name, name, 0), limits=self._limits)
        live.warm()
        route = self._watched(Route(record, [live]))
        with self._changing:
            if name in self._routes:
                raise ServedAlreadyError(f"A model is served as {name!r} already. Unload it first.")
            self._held = {**self._held, name: path}
            self._put(name, route)
        _log.info("Model file %s is served as %r.", path, name)

    def let_go(self, name: str) -> None:
        """End serving a model file. Raises UnknownEndpointError if none is served under this name."""
        with self._changing:
            if name not in self._held:
                raise UnknownEndpointError(
                    f"No model file is served as {name!r}. Those are: {', '.join(sorted(self._held)) or 'none'}."
                )
            self._check_alone(name)
            self._held = {other: path for other, path in self._held.items() if other != name}
            self._put(name, None)

    def _check_alone(self, name: str) -> None:
        """Raise InputError if other workers would not know of it."""
        if not self.is_alone:
            raise InputError(
                f"Model file {name!r} would come or go in one of this server's workers alone. "
                "Deploy the model (autopilot deploy), or start the server with --workers 1."
            )

    # ----------------------------------------------------------------------------------------------------- health

    @property
    def silent_s(self) -> float:
        """Seconds since the store last answered."""
        return monotonic() - self._heard_at

    def leave(self) -> None:
        """Have `check` fail from now on: the server is about to end, and is to be sent nothing more."""
        self._is_leaving = True

    def check(self) -> None:
        """Raise NotReadyError if the server is about to end, or the store has not answered for ten seconds."""
        if self._is_leaving:
            raise NotReadyError("The server is about to end. Ask another, or this one when it is there again.")
        silent_s = self.silent_s
        if silent_s > _STALE_S:
            raise NotReadyError(f"The store has not answered for {silent_s:.0f} s. The log tells why.")

    # ---------------------------------------------------------------------------------------- following the store

    def refresh(self) -> None:
        """Follow what changed in the store, and wait until it is loaded or has failed to."""
        self._look()
        for load in list(self._loading.values()):
            load.done.exception()

    def _follow(self) -> None:
        while not self._stopping.wait(_POLL_S):
            try:
                self._look()
            except Exception:  # noqa: BLE001 - a process that stops following serves an old model for ever
                _log.exception("Endpoints could not be followed; the next try is in %s s.", _POLL_S)

    def _look(self) -> None:
        """Take over what changed in the store since the last call; what has to be loaded is only begun.

        One thread at a time: who read the store before another would take away what that has taken over.
        """
        with self._refreshing:
            try:
                records = self._store.endpoints.list()
            except AutopilotError as error:
                if monotonic() - self._heard_at > _STALE_S:
                    _log.error("The store does not answer; serving what was loaded. %s", error)
                return
            self._heard_at = monotonic()
            with self._changing:
                self._records = {record.name: record for record in records}
            for record in records:
                if self._is_due(record):
                    self._take_over(record)
            self._drop()

    def _is_due(self, record: Endpoint) -> bool:
        """Whether a record is another than what serves, and is neither being loaded nor has just failed to be."""
        if record.name in self._held or record.name in self._loading:
            return False
        route, failed = self._routes.get(record.name), self._failed.get(record.name)
        if route is not None and route.record == record:
            return False
        return failed is None or failed.record != record or monotonic() >= failed.retry_at

    def _take_over(self, record: Endpoint) -> None:
        route = self._routes.get(record.name)
        if isinstance(route, Route) and route.has_models_of(record):
            self._install(self._route(record))
            _log.info("Endpoint %r goes on with revision %d: %s.", record.name, record.revision, _specs(record))
            return
        try:
            sizes = self._models.sizes(record) if self._memory_bytes is not None else {}
        except AutopilotError:
            sizes = {}  # loading it tells what is wrong
        if isinstance(route, UnloadedRoute) or (route is None and not self._fits(sizes)):
            self._install(UnloadedRoute(record, self._refuse))
        else:
            self._begin(record, sizes)

    def _drop(self) -> None:
        """Let go of what the store no longer has."""
        with self._changing:
            names = self._records.keys() | self._held.keys()
            for name in [name for name in self._routes if name is not None and name not in names]:
                self._put(name, None)
            self._failed = {name: failure for name, failure in self._failed.items() if name in names}
            records = [route.record for route in self._routes.values()]
        live = {counts.Key(record.name, v.model, v.version, v.name) for record in records for v in record.variants}
        self.metrics.keep(live, names, monotonic())

    def _install(self, route: Route | UnloadedRoute) -> None:
        """Have a configuration serve, if its endpoint is still there."""
        name = route.record.name
        with self._changing:
            if name in self._records and name not in self._held:  # which may have come while this was loading
                self._put(name, route)
                self._failed.pop(name, None)
        self.changed.set()

    def _put(self, name: str, route: Route | UnloadedRoute | None) -> None:
        """Put a route in the place of the one of that name, or none. For whoever holds `_changing`."""
        old = self._routes.get(name)
        routes = {other: found for other, found in self._routes.items() if other not in (name, None)}
        if route is not None:
            routes[name] = route
        only: dict[str | None, Route | UnloadedRoute] = (
            dict.fromkeys([None], *routes.values()) if len(routes) == 1 else {}
        )
        self._routes = {**routes, **only}
        if isinstance(old, Route):
            old.retire()

    # ---------------------------------------------------------------------------------------------------- loading

    def _begin(self, record: Endpoint, sizes: Sizes) -> Load:
        """Have an endpoint loaded in a thread, unless it is being loaded already."""
        with self._changing:
            load = self._loading.get(record.name)
            if load is None:
                done: Future[None] = Future()
                done.set_running_or_notify_cancel()  # else a client that goes away would cancel it for all
                load = self._loading[record.name] = Load(record, done, sizes)
                self._loader.submit(self._load, load)
            return load

    def _load(self, load: Load) -> None:
        record, failure = load.record, None
        loads, began = self.metrics.loads_of(record.name), monotonic()
        try:
            self._make_room(load)
            self._install(self._route(record))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a new model, the old one goes on serving
            loads.failed += 1
            failure = self._note_failure(record, error)
        else:
            loads.loaded += 1
            loads.seconds += monotonic() - began
            _log.info("Endpoint %r serves %s.", record.name, _specs(record))
        with self._changing:
            del self._loading[record.name]
        if self._memory_bytes is not None:
            trim()
        if failure is None:
            load.done.set_result(None)
        else:
            load.done.set_exception(_unloadable(failure))

    def _note_failure(self, record: Endpoint, error: Exception) -> _Failure:
        reason = str(error) if isinstance(error, AutopilotError) else repr(error)
        failure = _Failure(record, monotonic() + _RETRY_S, reason)
        with self._changing:
            self._failed[record.name] = failure
            old = self._routes.get(record.name)
        serving = f"{_specs(old.record)} goes on serving" if isinstance(old, Route) else "nothing serves it"
        _log.error("Endpoint %r could not switch to %s: %s; %s.", record.name, _specs(record), reason, serving)
        self.changed.set()
        return failure

    def _route(self, record: Endpoint) -> Route:
        """A record's configuration, ready to serve: with what of it serves already, and the rest loaded."""
        old = self._routes.get(record.name)
        known = old if isinstance(old, Route) else None
        variants = [self._variant(record, v, known.variants.get(v.name) if known else None) for v in record.variants]
        shadows = [self._shadow(record, v, known.shadows.get(v.name) if known else None) for v in record.shadows]
        return self._watched(Route(record, variants, shadows))

    def _watched(self, route: Route) -> Route:
        for live in route.variants.values():
            told = [watcher for make in self._watching for watcher in make(live)]
            live.watchers = (*told, *self.shadows.watchers(route, live))
        return route

    def _variant(self, record: Endpoint, variant: Variant, old: LiveVariant | None) -> LiveVariant:
        if old is not None and old.is_of(record, variant):
            return old.revised(record, variant)
        metrics = self.metrics.of(record.name, variant.model, variant.version, variant.name)
        return self._opened(record, variant, metrics)

    def _shadow(self, record: Endpoint, variant: Variant, old: LiveVariant | None) -> LiveVariant:
        """What it does is counted by `shadows`, not among answers."""
        if old is not None and old.is_of(record, variant):
            return old.revised(record, variant)
        return self._opened(record, variant, EndpointMetrics(record.name, variant.model, variant.version, variant.name))

    def _opened(self, record: Endpoint, variant: Variant, metrics: EndpointMetrics) -> LiveVariant:
        version = self._store.models.get(variant.spec)
        model = self._models.get(version, record.provider)

        def opened() -> "Explainer":
            from storage.explain import explainer_of  # loads onnx: only where somebody asks

            return explainer_of(self._store, version, model.predictor)

        live = LiveVariant(
            record, model.predictor, Explaining(opened), metrics, self._limits, variant=variant, model=model
        )
        live.warm()
        for note in live.notes:
            _log.warning("Endpoint %r, variant %r: %s", record.name, variant.name, note)
        return live

    # ------------------------------------------------------------------------------------------- a memory budget

    def _refuse(self, record: Endpoint) -> LiveVariant:
        """Raise UnloadedError, after having the endpoint loaded; or UnloadableError if that has just failed."""
        failed = self._failed.get(record.name)
        if failed is not None and failed.record == record and monotonic() < failed.retry_at:
            raise _unloadable(failed)
        load = self._begin(record, {})
        raise UnloadedError(
            f"The models of endpoint {record.name!r} are being loaded. Ask again in a second.", loading=load.done
        )

    def _fits(self, sizes: Sizes) -> bool:
        """Whether there is room for models beside what is in memory, or about to be."""
        if self._memory_bytes is None:
            return True
        with self._changing:
            return self._taken(sizes) <= self._memory_bytes

    def _taken(self, more: Sizes) -> int:
        loading = [load.sizes for load in self._loading.values()]
        return total_bytes([*(_sizes(route) for route in self._loaded().values()), *loading, more])

    def _make_room(self, load: Load) -> None:
        """Have endpoints that were not asked for longest make room for one; it alone may take more than there is."""
        if self._memory_bytes is None:
            return
        name, sizes = load.record.name, self._models.sizes(load.record)
        with self._changing:
            self._loading[name] = load._replace(sizes=sizes)
        while not self._has_room(name, self._memory_bytes):
            sleep(_STAY_S / 10)

    def _has_room(self, name: str, budget: int) -> bool:
        """Have others make room; whether there is some then, or nobody is left to make any."""
        with self._changing:
            while self._taken({}) > budget:
                others = [route for other, route in self._loaded().items() if other not in self._loading]
                if not others:
                    return True
                victim = min(others, key=lambda route: route.used_at)
                if time() - victim.since < _STAY_S:
                    return False
                self._put(victim.record.name, UnloadedRoute(victim.record, self._refuse))
                self.metrics.loads_of(victim.record.name).evicted += 1
                _log.info("Endpoint %r makes room for %r.", victim.record.name, name)
        return True

    def _loaded(self) -> dict[str, Route]:
        """The endpoints of the store that are in memory."""
        return {
            name: route
            for name, route in self._routes.items()
            if name is not None and isinstance(route, Route) and name not in self._held
        }

    # --------------------------------------------------------------------------------------------- what is told

    def _serving(self, record: Endpoint) -> Serving:
        route, failed = self._routes.get(record.name), self._failed.get(record.name)
        has_failed = failed is not None and failed.record == record
        notes = sorted({note for live in route.all for note in live.notes}) if isinstance(route, Route) else []
        answers = route is not None and not (has_failed and isinstance(route, UnloadedRoute))
        return Serving(
            route.record.revision if route is not None and answers else 0,
            record.revision if has_failed else None,
            failed.reason if failed is not None and has_failed else None,
            tuple(notes),
        )

    def _missing(self, name: str | None) -> AutopilotError:
        """Why there is no route."""
        live = self.names
        if name is None and live:
            return UnnamedEndpointError(
                f"The path names no endpoint, and there are {len(live)}. POST to one of {_paths(live)}."
            )
        if name is not None and (load := self._loading.get(name)) is not None:
            return UnloadedError(
                f"The models of endpoint {name!r} are being loaded. Ask again in a second.", loading=load.done
            )
        failed = self._failed.get(name) if name is not None else None
        return _unknown(name, live) if failed is None else _unloadable(failed)


def _sizes(route: Route) -> Sizes:
    return {live.model.key: live.model.bytes for live in route.all}


def _specs(record: Endpoint) -> str:
    """The versions that a record names, for the log."""
    return ", ".join(dict.fromkeys(variant.spec for variant in (*record.variants, *record.shadows)))


def _unloadable(failure: _Failure) -> UnloadableError:
    left_s = max(1.0, failure.retry_at - monotonic())
    return UnloadableError(
        f"Endpoint {failure.record.name!r} could not be loaded: {failure.reason} It is tried again in {left_s:.0f} s.",
        retry_after_s=left_s,
    )


def _open(path: Path) -> Predictor:
    """The model of a file, or of the only `.onnx` file in a folder."""
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
    if len(files) != 1:
        raise InputError(f"The folder {str(path)!r} has {len(files)} .onnx files. Put one there, or name the file.")
    if files[0].exists() and not files[0].is_file():  # a pipe would be waited for
        raise InputError(f"{str(files[0])!r} is no file. Name a model file.")
    return Predictor.open(files[0])


def _unknown(name: str | None, live: Sequence[str]) -> UnknownEndpointError:
    if not live:
        return UnknownEndpointError(
            "No endpoint is served yet. Deploy a model: autopilot deploy MODEL --endpoint NAME."
        )
    return UnknownEndpointError(f"There is no endpoint {name!r}. POST to {_paths(live)}.")


def _paths(live: Sequence[str]) -> str:
    shown = ", ".join(f"/endpoints/{name}/invocations" for name in sorted(live)[:8])
    return f"{shown} and {len(live) - 8} more; GET /api/endpoints lists all" if len(live) > 8 else shown

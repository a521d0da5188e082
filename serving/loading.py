"""Models in memory: each file is opened once, however many variants and endpoints serve it.

A model that is open is known by the digest of its file and by where it runs. Who wants one that is open gets the same;
when the last variant that holds it is gone, and the last request that it answers, its memory is free.

What a model takes is estimated by its file: the growth of a process at any time is mostly that of its neighbours.
Tried with one model at a time, processes grew by 6.8 to 9.5 times the file for trees (33 to 0.8 MB), by 3.8 to 5.5
times for dense layers (36 to 4 MB); and by 16 times for trees where what onnxruntime freed in between was not given
back to the system, which `trim` does.
"""

import ctypes
import threading
from asyncio import wrap_future
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from serving.cost import Cost, cost_of
from serving.drain import is_steady
from serving.errors import UnloadedError
from serving.formats import FEW_ROWS
from serving.likely_rows import likely_rows
from storage import Predictor, Store
from storage.predictor import Provider
from storage.records import Endpoint, ModelVersion
from storage.vectors import check_vectors

if TYPE_CHECKING:
    from concurrent.futures import Future

_STEADY_ROW_S = 0.0005  # heavier models gain nothing by company, and are not tried
_TRIED_ROWS = 1_000  # models were seen that company changes in one row of fifty

_FIXED_BYTES = 2_000_000
_BYTES_PER_BYTE = 7
_TRIES = 3  # to find an endpoint loaded; more only where the budget holds less than is asked for at once

_Found = TypeVar("_Found")


class Key(NamedTuple):
    """What a model in memory is known by: the digest of its file, and where it runs."""

    digest: str
    provider: Provider


#: Bytes of memory by model.
Sizes = dict[Key, int]


class Model:
    """A model file that is open, and what was found out about it.

    cost: of its runs. steady: whether company leaves each answer as it is, to the bit. bytes: of memory, estimated.
    key: what it is known by; of a file that no store has, nothing.
    """

    def __init__(self, predictor: Predictor, key: Key = Key("", "cpu")) -> None:  # noqa: B008 - it never changes
        self.predictor = predictor
        self.key = key
        signature = predictor.signature
        self.cost: Cost = cost_of(predictor, likely_rows(signature, FEW_ROWS))
        is_light = self.cost.row_s < _STEADY_ROW_S
        self.steady = is_light and is_steady(predictor, likely_rows(signature, _TRIED_ROWS))
        self.bytes = memory_of(len(predictor.model_bytes))


def memory_of(file_bytes: int) -> int:
    """What a model of so many bytes takes in memory, roughly.

    >>> memory_of(10_000_000)
    72000000
    """
    return _FIXED_BYTES + _BYTES_PER_BYTE * file_bytes


def trim() -> None:
    """Give freed memory back to the system, where the C library can: glibc keeps what was once used."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Models:
    """The models that are open in this process; safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: WeakValueDictionary[Key, Model] = WeakValueDictionary()
        self._opening: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, version: ModelVersion, provider: Provider) -> Model:
        """The model of a version: the one that is open, or a new one. Who asks for it while it is opened waits.

        Raises StoreError if its file is not there, and ModelFileError if it is none of ours, cannot be opened, or does
        not give what its test vectors say.
        """
        key = Key(version.digest, provider)
        with self._lock:
            turn = self._opening.setdefault(key, threading.Lock())
        try:
            with turn:
                found = self._open.get(key)
                if found is None:
                    predictor = Predictor(self._store.models.read_file(version), provider=provider)
                    check_vectors(predictor)
                    found = self._open[key] = Model(predictor, key)
                return found
        finally:
            with self._lock:
                self._opening.pop(key, None)  # who waits has it in hand

    def sizes(self, record: Endpoint) -> Sizes:
        """What the models of an endpoint take in memory, estimated, whether they are open or not.

        Raises UnknownNameError for a version that the store does not have.
        """
        versions = [self._store.models.get(variant.spec) for variant in (*record.variants, *record.shadows)]
        return {Key(version.digest, record.provider): memory_of(version.size_bytes) for version in versions}


def total_bytes(sizes: Iterable[Sizes]) -> int:
    """What models take together; one that is in several is in memory once.

    >>> one, other = Key("1f", "cpu"), Key("2e", "cpu")
    >>> total_bytes([{one: 5, other: 7}, {one: 5}])
    12
    """
    return sum({key: size for some in sizes for key, size in some.items()}.values())


async def when_loaded(find: Callable[[], _Found]) -> _Found:
    """What `find` finds; if that is not in memory, once it is. Other requests go on meanwhile.

    Raises what `find` raises, and UnloadableError if it could not be loaded.
    """
    for _ in range(_TRIES):
        try:
            return find()
        except UnloadedError as error:
            await wrap_future(error.loading)
    return find()


class Load(NamedTuple):
    """An endpoint that is being loaded. done: ends with it; it raises why it could not be. sizes: what it needs, as far
    as that is known."""

    record: Endpoint
    done: "Future[None]"
    sizes: Sizes

"""Tasks on a Dask cluster. The extra `dask` brings it."""

import hashlib
import io
import tarfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask.config
from distributed import Client, get_worker

from autopilot import __version__
from autopilot.workers.messages import Call
from autopilot.workers.remote import Promise, RemoteSlot, answer_in_bytes, in_bytes
from autopilot.workers.shared import Shared, arrive, has_arrived
from autopilot.workers.workers import Workers
from storage.errors import InputError

_SCHEDULER_PORT = 8786  # Dask's own default
_CONNECT_S = 5.0

#: Dask warns of tasks with large arguments; ours have them when they have to, and lose them with no worker.
_NO_WARNING = {"distributed.admin.large-graph-warning-threshold": "1 TB"}

_submitting = threading.Lock()  # the warning is set for the whole process
_unpacking = threading.Lock()


def dask_workers(address: str) -> Workers:
    """One task at once for each thread of the cluster's workers.

    Raises InputError if no scheduler answers within 5 s, has no workers, or they cannot import this autopilot.
    """
    client = _connected(address)
    cluster = _Cluster(client)
    try:
        _refuse_strangers(client, address)
        threads: Any = client.nthreads()
    except BaseException:
        client.close()
        raise
    slots = [RemoteSlot(cluster.submit) for _ in range(sum(threads.values()))]
    return Workers(slots, cluster.share, lambda: client.close(timeout=_CONNECT_S))


def _connected(address: str) -> Client:
    parts = urlsplit(address)
    scheme = "tcp" if parts.scheme == "dask" else parts.scheme
    try:
        found = f"{scheme}://{parts.hostname}:{parts.port or _SCHEDULER_PORT}"
        return Client(found, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"No Dask scheduler answers at {address!r}. Start one with: dask scheduler --port {_SCHEDULER_PORT}"
        ) from error


def _refuse_strangers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_CONNECT_S)
    except TimeoutError as error:
        raise InputError(
            f"The Dask scheduler at {address!r} has no workers. Start some: dask worker ADDRESS"
        ) from error
    try:
        found: Any = client.run(_version)
    except ImportError as error:
        raise InputError(f"A Dask worker of {address!r} has no autopilot. Run there: pip install autopilot") from error
    versions: set[str] = set(found.values())
    if versions != {__version__}:
        raise InputError(
            f"The Dask workers of {address!r} have autopilot {', '.join(sorted(versions))}; here is {__version__}. "
            f"Install one version everywhere."
        )


def _version() -> str:
    return __version__


class _Cluster:
    """Sends tasks, and before them, once, the folders that they read."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._archives: dict[str, Any] = {}

    def share(self, folder: Path) -> Shared:
        """Send a folder to all workers; one that comes later gets it from another."""
        archive = _packed(folder)
        digest = hashlib.sha256(archive).hexdigest()
        if digest not in self._archives:
            self._archives[digest] = self._client.scatter(archive, broadcast=True, hash=False)
        return Shared(str(folder), digest)

    def submit(self, call: Call) -> Promise:
        """A task whose worker is lost is run again on another."""
        frames = in_bytes(call.frames)
        digests = [shared.digest for shared in call.shared]
        archives = [self._archives[digest] for digest in digests]
        with _submitting, dask.config.set(_NO_WARNING):
            return self._client.submit(_answer_there, frames, digests, *archives, pure=False)


def _answer_there(frames: list[bytearray], digests: list[str], *archives: bytes) -> list[bytearray]:
    """In a Dask worker, whose own folder goes when it ends."""
    with _unpacking:
        for digest, archive in zip(digests, archives, strict=True):
            if not has_arrived(digest):
                folder = Path(get_worker().local_directory) / f"autopilot-{digest[:16]}"
                _unpack(archive, folder)
                arrive(digest, folder)
    return answer_in_bytes(frames)


def _packed(folder: Path) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as files:
        files.add(folder, ".")
    return archive.getvalue()


def _unpack(archive: bytes, folder: Path) -> None:
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")

"""The one door to workers."""

import sys
from collections.abc import Sequence
from concurrent.futures import Executor
from importlib.util import find_spec

from autopilot.workers.workers import Workers
from storage.errors import InputError

_DASK_SCHEMES = ("dask://", "tcp://", "tls://")


def open_workers(
    executor: str | Executor | None = None,
    count: int = 1,
    max_memory_bytes: int | None = None,
    *,
    preload: Sequence[str] = (),
) -> Workers:
    """Workers by what a user names: processes of this machine, an executor, or a Dask cluster.

    executor: None for processes of this machine; any `concurrent.futures.Executor`; the address of a Dask scheduler,
    "dask://host:8786" (or tcp://, tls://). count: of the processes; the others tell theirs. max_memory_bytes: that a
    task may take in a process of this machine. preload: modules that these import before their first task.

    It returns at once for processes, which begin in the background. Raises InputError for an executor that is none, and
    for a cluster that does not answer.
    """
    if executor is None:
        return _local_workers(count, max_memory_bytes, preload)
    if isinstance(executor, Executor):
        from autopilot.workers.remote import slots_of

        return Workers(slots_of(executor))
    if isinstance(executor, str) and executor.startswith(_DASK_SCHEMES):  # pyright: ignore[reportUnnecessaryIsInstance] - users give anything
        return _dask_workers(executor)
    raise InputError(
        f"The executor is {executor!r}. Leave it out, or give a concurrent.futures.Executor "
        f"or a Dask scheduler's address, such as 'dask://host:8786'."
    )


def _local_workers(count: int, max_memory_bytes: int | None, preload: Sequence[str]) -> Workers:
    from autopilot.workers.process import ProcessSlot

    if sys.platform == "linux":
        from autopilot.workers.forking import ForkedProcess, server_of

        return Workers([ProcessSlot(lambda: ForkedProcess(server_of(preload)), max_memory_bytes) for _ in range(count)])
    from autopilot.workers.spawning import SpawnedProcess

    return Workers([ProcessSlot(lambda: SpawnedProcess(preload), max_memory_bytes) for _ in range(count)])


def _dask_workers(address: str) -> Workers:
    if find_spec("distributed") is None:
        raise InputError(
            f"The executor {address!r} needs Dask, which is not installed. Run: pip install 'autopilot[dask]'"
        )
    from autopilot.workers.dask import dask_workers

    return dask_workers(address)

"""Where tasks are done: in processes of this machine that can be killed, in any executor, or on a Dask cluster.

    workers.py    what all share: a queue, and a thread for each task at once; start reading here
    open.py       which of them an `executor` argument asks for
    process.py    a slot that a process of this machine serves: limits, kills, replacements
    forking.py    such processes by fork from `server.py`, which has imported everything once (Linux)
    spawning.py   such processes started one by one (elsewhere)
    resident.py   what runs inside them
    remote.py     a slot of any `concurrent.futures.Executor`
    dask.py       a slot of a Dask cluster; the only importer of distributed
    messages.py   a call and its outcome as bytes      channel.py    messages over a socket
    shared.py     a folder that tasks read, wherever they run

What may not live here: what the tasks do. Nothing heavy is imported: `open_workers` is the first thing that a fit does.

Decisions. No `multiprocessing`: its `spawn` and `forkserver` run the user's main script again, which has no guard, and
its `fork` copies a process with threads and locks. One thread in each worker, and one thread in this process for each
worker: it sends, waits, looks at the clock and at the memory every 50 ms, and kills, so that nothing else has to be
kept in step. Importing what trains takes seconds, so it is done once, and a worker is a fork of who did it.
"""

from autopilot.workers.errors import MemoryLimitError, SendError, TimeLimitError, WorkerDiedError
from autopilot.workers.open import open_workers
from autopilot.workers.shared import Shared
from autopilot.workers.workers import Workers

__all__ = ["MemoryLimitError", "SendError", "Shared", "TimeLimitError", "WorkerDiedError", "Workers", "open_workers"]

"""A Dask cluster of processes of its own: a real scheduler and real workers, started as a user starts them."""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from distributed import Client

from tests.processes import ROOT

#: On a busy machine a worker takes its time to import distributed.
_PATIENCE_S = 60


class Cluster:
    """One scheduler and its workers, one thread each."""

    def __init__(self, workers: int) -> None:
        self._exit = ExitStack()
        self._folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory()))
        self.workers: list[subprocess.Popen[bytes]] = []
        file = self._folder / "scheduler.json"
        self._start("scheduler", "--port", "0", "--scheduler-file", str(file))
        for _ in range(workers):
            self.add_worker()
        with self.client() as client:
            self.address: str = client.scheduler.address
            if workers:
                client.wait_for_workers(workers, timeout=_PATIENCE_S)

    def add_worker(self) -> "subprocess.Popen[bytes]":
        worker = self._start(
            "worker", "--scheduler-file", str(self._folder / "scheduler.json"), "--nthreads", "1", "--no-nanny",
            "--local-directory", str(self._folder / str(len(self.workers))),
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def client(self) -> Client:
        return Client(scheduler_file=str(self._folder / "scheduler.json"), timeout=_PATIENCE_S, set_as_default=False)

    def close(self) -> None:
        self._exit.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, command: str, *arguments: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", command, *arguments, "--no-dashboard"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._exit.callback(process.wait)
        self._exit.callback(process.kill)
        return process

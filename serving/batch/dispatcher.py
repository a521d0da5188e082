"""Starts a worker process when a job waits, in a thread of the server; sees to it that a dead one's job goes on."""

import logging
import secrets
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from types import TracebackType

from storage.deaths import Deaths, reason_of
from storage.errors import StoreError
from storage.store import Store

_LOOK_S = 1.0
_GRACE_S = 5.0  # a worker gives its job back when the chunks that it has begun are done

_log = logging.getLogger(__name__)


class Dispatcher:
    """Works off the jobs of a store, one at a time, while it is entered; several processes may have one each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner, self._began = "", 0.0
        self._worker: subprocess.Popen[bytes] | None = None
        self._deaths = Deaths()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="dispatcher", daemon=True)

    def __enter__(self) -> "Dispatcher":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the worker; its job waits for the next one."""
        self._is_over.set()
        self._thread.join()
        if self._worker is None:
            return
        self._worker.terminate()
        try:
            self._worker.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()
            self._store.jobs.expire(self._owner, datetime.now(UTC))

    def _follow(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            try:
                self._look()
            except (StoreError, OSError) as error:
                _log.warning("Jobs cannot be looked after: %s", error)

    def _look(self) -> None:
        if self._worker is not None:
            if (code := self._worker.poll()) is None:
                return
            if self._worker.stdin is not None:
                self._worker.stdin.close()
            self._worker = None
            if code:
                self._mourn(code)
        now = datetime.now(UTC)
        if self._deaths.may_replace(time.monotonic()) and self._store.jobs.waits("batch", now):
            self._start()

    def _mourn(self, code: int) -> None:
        pause_s = self._deaths.add(time.monotonic() - self._began, time.monotonic())
        _log.warning("The worker of batch jobs %s; another begins in %g s", reason_of(code), pause_s)
        self._store.jobs.expire(self._owner, datetime.now(UTC))

    def _start(self) -> None:
        self._owner, self._began = f"server-{secrets.token_hex(8)}", time.monotonic()
        command = [sys.executable, "-m", "serving.batch", "--store", str(self._store.root), "--once"]
        self._worker = subprocess.Popen(
            [*command, "--child", "--owner", self._owner], stdin=subprocess.PIPE, start_new_session=True
        )

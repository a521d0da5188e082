"""The supervisor: it starts worker processes, watches them, and keeps as many as the load asks for.

    listening socket ── inherited by ──┬── worker 1
                                       ├── worker 2     each accepts, and answers what it accepted
                                       └── ...

It answers no request itself: what can fail by a request are workers, and they are replaced.
"""

import asyncio
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Literal

import msgspec

from serving.workers.bounds import Bounds
from serving.workers.messages import (
    Ask,
    Collect,
    Collected,
    End,
    FromWorker,
    Leaving,
    LetGo,
    Ready,
    Report,
    ToWorker,
    from_worker,
    packed,
)
from serving.workers.scaling import Scaling, surplus
from serving.workers.totals import Ended, Family, Sample, State, merged
from storage.deaths import Deaths, reason_of

_LOOK_S = 0.5
_GRACE_S = 26.0  # a worker answers for 25 s what is under way; platforms kill us all after 30 s
_SILENT_S = 30.0  # a worker that reports twice a second, and then not for so long, hangs
_ANSWER_S = 1.0  # for metrics; of one that does not answer the last ones are told
_CALM_S = 3.0  # after connections were let go, until it shows what that did
_MOST_DEATHS = 5  # in a row, with no worker left: whoever runs us has to know

_log = logging.getLogger(__name__)


class Worker:
    """One worker process, as its supervisor knows it. number: counts from 1.

    since: of the status, by `monotonic`. heard_at: when it last reported. totals: what it last said to have counted.
    """

    def __init__(self, number: int, process: asyncio.subprocess.Process, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.process = process
        self.status: Literal["starting", "ready", "ending", "ended"] = "starting"
        self.began = self.since = self.heard_at = monotonic()
        self.report: Report | None = None
        self.totals: State = ()
        self._writer = writer
        self._asked: dict[int, asyncio.Future[None]] = {}

    def __str__(self) -> str:
        return f"Worker {self.number} (process {self.process.pid})"

    def become(self, status: Literal["ready", "ending", "ended"]) -> None:
        """Note a change of status."""
        self.status, self.since = status, monotonic()
        if status == "ended":
            self._writer.close()
            for future in self._asked.values():
                future.cancel()

    def send(self, message: ToWorker) -> None:
        """Tell it something; one that is gone is told nothing."""
        if not self._writer.is_closing():
            self._writer.write(packed(message))

    def end(self, *, server: bool, waits: bool = True, at_once: bool = False) -> None:
        """Tell it to drain and end; as in `End`."""
        self.send(End(server, waits, at_once))
        if self.status != "ending":
            self.become("ending")

    def kill(self) -> None:
        """End it by force."""
        if self.process.returncode is None:
            self.process.kill()

    async def collect(self, number: int) -> None:
        """Have it say what it has counted. number: no other question has it. Its end is an answer too."""
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        self.send(Collect(number))
        try:
            with suppress(asyncio.CancelledError):
                await future
        finally:
            del self._asked[number]

    def tell(self, number: int | None, totals: State) -> None:
        """Note what it has counted."""
        self.totals = totals
        if number is not None and (future := self._asked.get(number)) is not None and not future.done():
            future.set_result(None)


class Supervisor:
    """Keeps workers. command: starts one, with its files appended. say: is told once that requests are answered."""

    def __init__(
        self,
        listener: socket.socket,
        command: Sequence[str],
        bounds: Bounds,
        *,
        say: Callable[[str], None],
        scaling: Scaling | None = None,
    ) -> None:
        self._listener = listener
        self._command = command
        self._say = say
        self._scaling = scaling or Scaling(bounds)
        self._wanted = bounds.least
        self._workers: list[Worker] = []
        self._numbers = count(1)
        self._questions = count()
        self._deaths = Deaths()
        self._ended = Ended()
        self._calm_until = 0.0
        self._was_ready = False
        self._is_ending = False
        self._renewal: asyncio.Task[None] | None = None
        self._code = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def run(self) -> int:
        """Until SIGTERM or SIGINT, or until no worker can be kept; gives the exit code. SIGHUP renews the workers."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: self.end(waits=True))
        loop.add_signal_handler(signal.SIGINT, lambda: self.end(waits=False))
        loop.add_signal_handler(signal.SIGHUP, self.renew)
        while self._workers or not self._is_ending:
            await self._look(monotonic())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _LOOK_S)
            self._changed.clear()
        return self._code

    def end(self, *, waits: bool) -> None:
        """Drain and end all workers, as in `End`; asked twice, nothing more is answered."""
        at_once, self._is_ending = self._is_ending, True
        self._listener.close()  # the workers close theirs: from then on connections are refused, not kept waiting
        if self._renewal is not None:
            self._renewal.cancel()
        for worker in self._workers:
            worker.end(server=True, waits=waits, at_once=at_once)
        self._changed.set()

    def renew(self) -> None:
        """Replace all workers, one at a time; each answers before the one ends in whose place it comes."""
        if self._is_ending or (self._renewal is not None and not self._renewal.done()):
            _log.warning("Workers are being renewed or ended already.")
            return
        self._renewal = self._spawn(self._renew())

    # ------------------------------------------------------------------------------------------ as many as wanted

    async def _look(self, now: float) -> None:
        """Compare what there is with what there should be."""
        self._kill_hung(now)
        if self._is_ending:
            return
        ready = [worker for worker in self._workers if worker.status == "ready"]
        reports = [worker.report for worker in ready if worker.report is not None]
        self._scale(reports, now)
        if self._renewal is None or self._renewal.done():
            self._spread(ready, reports, now)
            self._retire(ready)
        for _ in range(self._wanted - len(self._staying())):
            if self._deaths.may_replace(now):
                await self._start()

    def _staying(self) -> list[Worker]:
        """Those that are to answer, now or when they have started."""
        return [worker for worker in self._workers if worker.status in ("starting", "ready")]

    def _scale(self, reports: Sequence[Report], now: float) -> None:
        busy = [report.busy for report in reports]
        wanted = self._scaling.wanted(busy, now)
        if wanted != self._wanted:
            _log.info(
                "%d workers become %d: they were %.0f %% busy.", self._wanted, wanted, 100 * sum(busy) / len(busy)
            )
        self._wanted = wanted

    def _retire(self, ready: Sequence[Worker]) -> None:
        """End those that are too many, first whom the fewest clients have to leave."""
        too_many = max(0, len(self._staying()) - self._wanted)
        by_connections = sorted(ready, key=lambda worker: worker.report.connections if worker.report else 0)
        for worker in by_connections[:too_many]:
            worker.end(server=False)

    def _spread(self, ready: Sequence[Worker], reports: Sequence[Report], now: float) -> None:
        """Have busy workers let go of connections that others have the time for."""
        if now < self._calm_until or len(reports) < len(ready):
            return
        for worker, connections in zip(ready, surplus(reports), strict=True):
            if connections:
                worker.send(LetGo(connections))
                self._calm_until = now + _CALM_S

    def _kill_hung(self, now: float) -> None:
        for worker in self._workers:
            if worker.status == "ending" and now - worker.since > _GRACE_S:
                _log.error("%s did not end in %d s, and is killed.", worker, _GRACE_S)
                worker.kill()
            elif worker.status == "ready" and now - worker.heard_at > _SILENT_S:
                _log.error("%s hangs: it has not reported for %d s, and is killed.", worker, _SILENT_S)
                worker.kill()

    async def _renew(self) -> None:
        for old in self._staying():
            if old not in self._staying():
                continue  # it died meanwhile, and was replaced for that
            new = await self._start()
            while new is not None and new.status == "starting":
                await asyncio.sleep(_LOOK_S / 10)
            if new is None or new not in self._staying():
                _log.error("The renewal ends here: a new worker could not be started. The old ones go on.")
                return
            old.end(server=False)
            while old in self._workers:
                await asyncio.sleep(_LOOK_S / 10)
        _log.info("All workers are renewed.")

    # ------------------------------------------------------------------------------------------------ one worker

    async def _start(self) -> Worker | None:
        """Start a worker; None if the system has no room for another process."""
        ours, theirs = socket.socketpair()
        files = (self._listener.fileno(), theirs.fileno())
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    ",".join(map(str, files)),
                    stdin=subprocess.DEVNULL,
                    pass_fds=files,
                    start_new_session=True,  # Ctrl-C is for us, and we tell each worker once
                )
        except OSError as error:
            ours.close()
            pause_s = self._deaths.add(0.0, monotonic())
            _log.error("A worker could not be started: %s. The next try is in %g s.", error.strerror, pause_s)
            return None
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        worker = Worker(next(self._numbers), process, writer)
        self._workers.append(worker)
        if self._is_ending:
            worker.end(server=True)
        self._spawn(self._follow(worker, reader))
        return worker

    async def _follow(self, worker: Worker, reader: asyncio.StreamReader) -> None:
        """Hear a worker until its end, and bury it."""
        try:
            while True:
                self._hear(worker, await from_worker(reader))
        except (EOFError, OSError):
            pass
        except msgspec.MsgspecError as error:
            _log.error(
                "%s is of another version than its supervisor, and is killed: restart the server. %s", worker, error
            )
            worker.kill()
        code = await worker.process.wait()
        self._workers.remove(worker)
        self._ended.add(worker.totals)
        before = worker.status
        worker.become("ended")
        self._changed.set()
        if before == "ending":
            _log.log(logging.WARNING if code else logging.INFO, "%s %s.", worker, reason_of(code))
        else:
            self._mourn(worker, code, was_ready=before == "ready")

    def _hear(self, worker: Worker, message: FromWorker) -> None:
        worker.heard_at = monotonic()
        if isinstance(message, Ready):
            if worker.status == "starting":
                worker.become("ready")
            _log.info("%s is ready after %.1f s.", worker, worker.heard_at - worker.began)
            if not self._was_ready:
                self._was_ready = True
                self._say(message.serving)
        elif isinstance(message, Report):
            worker.report = message
        elif isinstance(message, Ask):
            self._spawn(self._answer(worker, message))
        elif isinstance(message, Leaving):
            if worker.status == "ready":
                _log.warning("%s ends because somebody else told it to; it is replaced now.", worker)
                worker.become("ending")
                self._changed.set()
        else:
            worker.tell(message.number, message.own)

    def _mourn(self, worker: Worker, code: int, *, was_ready: bool) -> None:
        """A worker ended unasked."""
        now = monotonic()
        pause_s = self._deaths.add(now - worker.began, now)
        told = f"{worker} {reason_of(code)} after {now - worker.began:.0f} s"
        if not self._was_ready and not self._workers:
            self._give_up(f"{told}, before it was ready.", code if code > 0 else 1)
        elif self._deaths.in_a_row >= _MOST_DEATHS and not any(other.status == "ready" for other in self._workers):
            self._give_up(f"{told}, the latest of {self._deaths.in_a_row} in a row, and none is left.", 1)
        else:
            when = f"in {pause_s:g} s" if pause_s else "now"
            lost = "What it had under way is lost." if was_ready else "It was not ready yet."
            _log.error("%s; it is replaced %s. %s", told, when, lost)

    def _give_up(self, why: str, code: int) -> None:
        _log.error("%s The server ends; what the worker said stands above.", why)
        self._code = code
        self.end(waits=True)

    async def _answer(self, asker: Worker, ask: Ask) -> None:
        """Tell one worker what the others have counted."""
        asker.totals = ask.own
        others = [worker for worker in self._workers if worker is not asker and worker.status != "starting"]
        number = next(self._questions)
        if asked := [asyncio.create_task(worker.collect(number)) for worker in others]:
            _, late = await asyncio.wait(asked, timeout=_ANSWER_S)
            for task in late:
                task.cancel()
        living = [worker.totals for worker in self._workers if worker is not asker]
        ended = self._ended.told([*living, ask.own], monotonic())
        asker.send(Collected(ask.number, merged([*living, ended, self._own()])))

    def _own(self) -> State:
        deaths = Sample("autopilot_worker_deaths_total", (), float(self._deaths.total))
        return (Family("autopilot_worker_deaths", "", "counter", "sum", lasts=False, samples=(deaths,)),)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def supervise(listener: socket.socket, arguments: Sequence[str], bounds: Bounds) -> int:
    """Serve by worker processes until told to stop; gives the exit code. arguments: of `python -m serving`."""
    warnings = [f"-W{option}" for option in sys.warnoptions]
    command = [sys.executable, *warnings, "-m", "serving", *arguments, "--worker"]

    async def run() -> int:
        def say(serving: str) -> None:
            print(f"{serving}, by {bounds}", flush=True)

        return await Supervisor(listener, command, bounds, say=say).run()

    return asyncio.run(run())

"""The loop of a transform: chunks are read in order, scored by threads, and committed in order.

    read     the next chunk, by this thread; Polars reads with threads of its own
    score    by a pool of threads, as many as there are cores, a little more than they can do at once
    commit   by this thread: write the part, note it, tell how far it is; an input that ended may end an output

So memory holds a few chunks, whatever the file's size, and what is on disk is the beginning of the result.
"""

import hashlib
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl
from msgspec.structs import replace

from storage.batch import places
from storage.batch.chunks import COPIES, Chunk, Table, chunks_of
from storage.batch.parts import InputDone, Parts, opened
from storage.batch.places import Input
from storage.batch.plan import Plan, parts_folder, plan_of, refuse_existing, threads_of
from storage.batch.scoring import Scored, Shape, answer_names, number_names, score
from storage.batch.sinks import finish
from storage.batch.transform import FileDone, Progress, Summary, Transform
from storage.errors import DataError, FailureError, InputError, listed
from storage.predictor import Predictor

Observe = Callable[[Progress], None]

#: Chunks under way beyond those that threads work on: as many as one is to find when it is done.
_WAITING = 2


def unobserved(progress: Progress) -> None:
    """Nobody looks."""


def transform_files(
    predictor: Predictor,
    transform: Transform,
    *,
    observe: Observe = unobserved,
    resume: bool = False,
    scratch: Path | None = None,
) -> Summary:
    """Score files as `transform` says; gives what became of each.

    observe: is told after each part how far it is; what it raises ends the transform, whose parts are kept. resume: go
    on with what one that was interrupted has done, if there is any. scratch: folder for what is not whole yet, where
    the output is in an object store; by default one in the temporary folder.

    An input that cannot be scored is told in the summary, and others are scored all the same; where there is one
    output or one input, or with `fail_fast`, its DataError is raised. Raises InputError before anything is done for
    what cannot be done at all, such as output that is there, and FailureError if the disk is full or a store does not
    answer: then, and after a kill, what was done is kept for `resume`.
    """
    resume = resume or transform.resume
    plan = plan_of(transform)
    answer_names(predictor, transform)
    digest = _digest(plan, predictor)
    folder = parts_folder(transform.out, scratch or _scratch(digest))
    try:
        with opened(folder, digest, resume=resume, overwrite=transform.overwrite) as parts:
            refuse_existing(plan, parts.outputs_moving)
            _refuse_changed(plan, parts)
            return _Run(predictor, plan, parts, observe).all()
    except OSError as error:
        raise _not_written(transform.out, folder, error) from error


def _digest(plan: Plan, predictor: Predictor) -> str:
    """Of what has to be the same for a result to be gone on with."""
    what = replace(plan.transform, model="", workers=0, overwrite=False, resume=False, fail_fast=False)
    names = tuple(one.name for one in plan.inputs)
    return hashlib.sha256(predictor.model_bytes + msgspec.json.encode((what, names))).hexdigest()


def _scratch(digest: str) -> Path:
    """A folder that is found again by the same transform."""
    folder = Path(tempfile.gettempdir()) / f"autopilot-{digest[:16]}.parts"
    if folder.exists() and hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise FailureError(f"{str(folder)!r} belongs to another user. Name another temporary folder by TMPDIR.")
    return folder


def _refuse_changed(plan: Plan, parts: Parts) -> None:
    for number, one in enumerate(plan.inputs):
        part = parts.of_input(number)
        if part is not None and part.stamp != one.stamp:
            raise InputError(f"{one.place!r} has changed since a part of it was scored. Begin anew by --overwrite.")


def _not_written(out: str, folder: Path, error: Exception) -> FailureError:
    reason = str(error).partition("\n")[0]
    kept = f", and go on by --resume: what is done is kept in {str(folder)!r}" if folder.exists() else ""
    return FailureError(f"{out!r} could not be written: {reason}. Free some disk{kept}.")


# ---------------------------------------------------------------------------------------------------------------- run


class _Ended(NamedTuple):
    """After the last chunk of an input. error: why there are no more of them; None if it was read to its end."""

    error: InputError | None


class _Run:
    """One attempt at a plan."""

    def __init__(self, predictor: Predictor, plan: Plan, parts: Parts, observe: Observe) -> None:
        self._predictor, self._plan, self._parts, self._observe = predictor, plan, parts, observe
        self._numbers = number_names(predictor, plan.transform)
        self._reasons: dict[int, str] = {}
        self._started = set[int]()  # outputs of which a chunk was begun
        self._ends = list(accumulate((one.size_bytes for one in plan.inputs), initial=0))  # of inputs, in all bytes
        self._resumed_rows, self._resumed_share = parts.rows, -1.0
        self._began = time.monotonic()

    def all(self) -> Summary:
        """Read, score and commit."""
        threads = threads_of(self._plan.transform.workers)
        under_way: deque[tuple[int, Chunk | _Ended, Future[Scored] | None]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
            try:
                for number, item in self._items():
                    scored = None if isinstance(item, _Ended) else self._begin(pool, number, item)
                    under_way.append((number, item, scored))
                    while len(under_way) >= threads + _WAITING:
                        self._commit(*under_way.popleft())
                while under_way:
                    self._commit(*under_way.popleft())
            except BaseException as error:
                pool.shutdown(wait=True, cancel_futures=True)
                if isinstance(error, InputError) and len(self._plan.inputs) == 1:
                    self._parts.is_over = True  # the file has to be mended, and is then another
                raise
        self._parts.is_over = not self._reasons
        return self._summary()

    def _items(self) -> Iterator[tuple[int, Chunk | _Ended]]:
        """All chunks of all inputs that are not done, and where each input ends."""
        for number, one in enumerate(self._plan.inputs):
            if number in self._parts.inputs_done:
                yield number, _Ended(None)
                continue
            error = None
            try:
                for chunk in self._chunks(number, one):
                    if number in self._reasons:
                        break
                    yield number, chunk
            except InputError as refused:
                error = refused
            yield number, _Ended(error)

    def _chunks(self, number: int, one: Input) -> Iterator[Chunk]:
        folder, sensitive = self._parts.folder, self._predictor.signature.has_sensitive
        try:
            path = places.local_copy(one, folder)
            table = Table(path, one.place, one.form, folder, self._plan.transform.delimiter, sensitive, self._numbers)
            yield from chunks_of(table, self._parts.place(number))
        finally:
            for name in COPIES:
                (folder / name).unlink(missing_ok=True)

    def _begin(self, pool: ThreadPoolExecutor, number: int, chunk: Chunk) -> Future[Scored]:
        output = self._plan.output_of(number)
        is_first = output not in self._started and self._parts.of_output(output) is None
        self._started.add(output)
        _, form, packing = self._plan.outputs[output]
        shape = Shape(self._plan.inputs[number].place, form, packing)
        return pool.submit(score, self._predictor, self._plan.transform, shape, chunk, is_first=is_first)

    def _commit(self, number: int, item: Chunk | _Ended, scored: Future[Scored] | None) -> None:
        if number in self._reasons:
            return
        try:
            if isinstance(item, _Ended):
                self._end(number, item)
            elif scored is not None:
                self._keep(number, item, scored.result())
        except InputError as error:
            self._fail(number, error)
        except pl.exceptions.PolarsError as error:
            raise _not_written(self._plan.transform.out, self._parts.folder, error) from error
        self._tell(number, 1.0 if isinstance(item, _Ended) else item.share)

    def _keep(self, number: int, chunk: Chunk, scored: Scored) -> None:
        output = self._plan.output_of(number)
        last = self._parts.of_output(output)
        if last is not None and last.names != scored.names:
            raise DataError(
                f"{self._plan.inputs[number].place!r} has other columns from row {chunk.first_row:,} on than what was "
                f"written before: {listed(scored.names)} instead of {listed(last.names)}. Name those to write by "
                "--columns."
            )
        form, stamp = self._plan.outputs[output].form, self._plan.inputs[number].stamp
        self._parts.add(number, output, form, scored, stamp=stamp, end=chunk.end)

    def _end(self, number: int, ended: _Ended) -> None:
        if ended.error is not None:
            raise ended.error
        output = self._plan.output_of(number)
        if number not in self._parts.inputs_done:
            self._parts.note(InputDone(number))
        if self._plan.is_last(number) and output not in self._parts.outputs_done:
            finish(self._parts, output, self._plan.outputs[output], overwrite=self._plan.transform.overwrite)

    def _fail(self, number: int, error: InputError) -> None:
        """Note it, or end all with it; others that are done stay."""
        if len(self._plan.inputs) == 1:
            raise error
        self._parts.drop(number, self._plan.output_of(number))
        if not self._plan.is_one_output and not self._plan.transform.fail_fast:
            self._reasons[number] = str(error)
            return
        place = self._plan.inputs[number].place
        what = "" if place in str(error) else f"{place!r} cannot be scored. "
        raise DataError(f"{what}{error} Mend it, and go on by --resume.") from error

    def _tell(self, number: int, share: float) -> None:
        """How far it is. Inputs are committed in their order."""
        done = self._ends[number] + share * (self._ends[number + 1] - self._ends[number])
        done = min(done / max(self._ends[-1], 1), 1.0)
        if self._resumed_share < 0:
            self._resumed_share = done if self._resumed_rows else 0.0
        spent, gained = time.monotonic() - self._began, done - self._resumed_share
        self._observe(
            Progress(
                rows=self._parts.rows,
                bad_rows=self._parts.bad_rows,
                files=len(self._plan.inputs),
                files_done=len(self._parts.inputs_done),
                files_failed=len(self._reasons),
                share=done,
                rows_per_s=max(self._parts.rows - self._resumed_rows, 0) / max(spent, 1e-9),
                left_s=spent * (1.0 - done) / gained if gained > 0 else None,
            )
        )

    def _summary(self) -> Summary:
        files = tuple(self._file(number, one) for number, one in enumerate(self._plan.inputs))
        return Summary(
            rows=self._parts.rows,
            bad_rows=self._parts.bad_rows,
            seconds=time.monotonic() - self._began,
            files=files,
            resumed_rows=self._resumed_rows,
            ignored=self._plan.ignored,
        )

    def _file(self, number: int, one: Input) -> FileDone:
        part, output = self._parts.of_input(number), self._plan.outputs[self._plan.output_of(number)]
        rows, bad_rows = (part.rows, part.bad_rows) if part else (0, 0)
        has_errors = self._plan.transform.on_error == "skip" and bad_rows
        reason = self._reasons.get(number)
        return FileDone(one.place, output.place, rows, bad_rows, output.errors if has_errors else None, reason)

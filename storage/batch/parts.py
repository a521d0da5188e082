"""What of a transform is done, on disk, so that one that was killed goes on.

    .OUT.parts/
    ├── lock             held by the process that works on it
    ├── manifest.ndjson  a line for each thing that was done, after it was
    └── 0/               of the first output
        ├── whole        csv and ndjson: what there is of it; longer than its last line says after a kill
        ├── 0000000.part Parquet and Arrow: a part a file
        └── errors       of the side file

What a line tells of was written through to the disk before the line was; that is done a few times a second, since each
takes some milliseconds. A line that a kill cut off was not written.
"""

import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from storage.batch.chunks import Place
from storage.batch.scoring import Scored
from storage.errors import BusyError, InputError
from storage.formats import Format
from storage.work import Work

#: Of what lies in such a folder. Another one is not gone on with.
_VERSION = 1
#: So much work may be done again after a kill, beside what threads were at.
_EVERY_S = 0.25
#: Formats whose parts are put together in the end: they cannot be appended to.
MERGED: tuple[Format, ...] = ("parquet", "arrow")


class Begun(Struct, frozen=True, tag=True):
    """digest: of the model, the options and the names of the inputs: what has to be the same to go on."""

    digest: str
    version: int = _VERSION


class PartDone(Struct, frozen=True, tag=True):
    """Results of some rows. rows, bad_rows: of the input until now, which end at `end`; whole_bytes, errors_bytes:
    of the output until now. names: of its columns. stamp: of the input."""

    input: int
    output: int
    stamp: str
    rows: int
    bad_rows: int
    end: int
    whole_bytes: int
    errors_bytes: int
    names: tuple[str, ...]


class InputDone(Struct, frozen=True, tag=True):
    """An input was read to its end."""

    input: int


class OutputMoving(Struct, frozen=True, tag=True):
    """An output is whole, and is being brought to its place."""

    output: int


class OutputDone(Struct, frozen=True, tag=True):
    """An output is in its place."""

    output: int


class Dropped(Struct, frozen=True, tag=True):
    """An input could not be scored: its output is as it was before it."""

    input: int
    output: int


Line = Begun | PartDone | InputDone | OutputMoving | OutputDone | Dropped


class Parts:
    """The parts of one transform. Inputs and outputs are known by their numbers.

    rows: of all inputs, that are done; bad_rows: of these, bad ones. is_over: whether nothing is to be kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_over = False
        self.rows = self.bad_rows = 0
        self.inputs_done: set[int] = set()
        self.outputs_moving: set[int] = set()
        self.outputs_done: set[int] = set()
        self._last_of_input: dict[int, PartDone] = {}
        self._last_of_output: dict[int, PartDone] = {}
        self._counts: dict[int, int] = {}  # of the parts of an output
        self._before_input: dict[int, tuple[PartDone | None, int]] = {}  # how its output was
        self._manifest = folder / "manifest.ndjson"
        self._unwritten: list[Line] = []
        self._unsynced: set[Path] = set()
        self._written_at = time.monotonic()

    def of_input(self, number: int) -> PartDone | None:
        """The last part of an input; None if there is none."""
        return self._last_of_input.get(number)

    def of_output(self, number: int) -> PartDone | None:
        """The last part of an output; None if there is none."""
        return self._last_of_output.get(number)

    def place(self, number: int) -> Place:
        """From where an input is to be read."""
        part = self.of_input(number)
        return Place(part.rows, part.end) if part else Place()

    def whole(self, output: int) -> Path:
        """Where an output is put together."""
        return self._folder_of(output) / "whole"

    def errors(self, output: int) -> Path:
        """Where its side file is."""
        return self._folder_of(output) / "errors"

    def files(self, output: int) -> list[Path]:
        """Its parts, of a format that is put together in the end."""
        return [self._file(output, number) for number in range(self._counts.get(output, 0))]

    def add(self, source: int, output: int, form: Format, scored: Scored, *, stamp: str, end: int) -> None:
        """Keep results of an input's next rows, which end at `end`. Raises OSError, such as of a full disk."""
        before, last = self.of_input(source), self.of_output(output)
        whole_bytes, errors_bytes = (last.whole_bytes, last.errors_bytes) if last else (0, 0)
        self._folder_of(output).mkdir(exist_ok=True)
        if form in MERGED:
            self._write(self._file(output, self._counts.get(output, 0)), 0, scored.data)
        else:
            self._write(self.whole(output), whole_bytes, scored.data)
        if scored.errors or errors_bytes:
            self._write(self.errors(output), errors_bytes, scored.errors)
        self._take(
            PartDone(
                input=source,
                output=output,
                stamp=stamp,
                rows=scored.rows + (before.rows if before else 0),
                bad_rows=scored.bad_rows + (before.bad_rows if before else 0),
                end=end,
                whole_bytes=whole_bytes + len(scored.data),
                errors_bytes=errors_bytes + len(scored.errors),
                names=scored.names,
            )
        )
        if time.monotonic() - self._written_at >= _EVERY_S:
            self.keep()

    def note(self, line: Line) -> None:
        """Write down what was done."""
        self._take(line)
        self.keep()

    def keep(self) -> None:
        """See to it that all that was done until now is found after a kill."""
        for path in self._unsynced:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        with self._manifest.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in self._unwritten))
            file.flush()
            os.fsync(file.fileno())
        self._unsynced.clear()
        self._unwritten.clear()
        self._written_at = time.monotonic()

    def drop(self, source: int, output: int) -> None:
        """Forget an input that could not be scored."""
        self.note(Dropped(source, output))
        if output not in self._last_of_output:
            self.clear(output)

    def clear(self, output: int) -> None:
        """Let go of the files of an output that is in its place, or that will not be."""
        shutil.rmtree(self._folder_of(output), ignore_errors=True)

    def load(self, digest: str) -> bool:
        """Read what was done before; gives whether there is any of it.

        Raises InputError if it was another transform, or one of another version.
        """
        lines = _lines_of(self._manifest)
        if len(lines) < 2:
            return False
        if lines[0] != Begun(digest):
            raise InputError(
                f"{str(self.folder)!r} holds parts of a transform with another model, other options, other files or "
                "another version of autopilot. Go on with that one, or begin anew: --overwrite without --resume."
            )
        for line in lines[1:]:
            self._take(line)
        self._unwritten.clear()
        return True

    def _take(self, line: Line) -> None:
        self._unwritten.append(line)
        if isinstance(line, PartDone):
            before = self._last_of_output.get(line.output), self._counts.get(line.output, 0)
            self._before_input.setdefault(line.input, before)
            self._count(self._last_of_input.get(line.input), line)
            self._last_of_input[line.input] = self._last_of_output[line.output] = line
            self._counts[line.output] = self._counts.get(line.output, 0) + 1
        elif isinstance(line, InputDone):
            self.inputs_done.add(line.input)
        elif isinstance(line, OutputMoving):
            self.outputs_moving.add(line.output)
        elif isinstance(line, OutputDone):
            self.outputs_done.add(line.output)
        elif isinstance(line, Dropped):
            self._forget(line.input, line.output)

    def _forget(self, source: int, output: int) -> None:
        self._count(self._last_of_input.pop(source, None), None)
        self.inputs_done.discard(source)
        self.outputs_moving.discard(output)
        part, count = self._before_input.pop(source, (self._last_of_output.get(output), self._counts.get(output, 0)))
        self._counts[output] = count
        if part is None:
            self._last_of_output.pop(output, None)
        else:
            self._last_of_output[output] = part

    def _count(self, before: PartDone | None, now: PartDone | None) -> None:
        """Take one part of an input for another into the sums."""
        for part, sign in ((before, -1), (now, 1)):
            if part is not None:
                self.rows += sign * part.rows
                self.bad_rows += sign * part.bad_rows

    def _write(self, path: Path, start: int, data: bytes) -> None:
        """Write at a place of a file, and let go of what followed."""
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(start)
            file.write(data)
            file.truncate()
        self._unsynced.add(path)

    def _folder_of(self, output: int) -> Path:
        return self.folder / str(output)

    def _file(self, output: int, number: int) -> Path:
        return self._folder_of(output) / f"{number:07}.part"


@contextmanager
def opened(folder: Path, digest: str, *, resume: bool, overwrite: bool) -> Generator[Parts]:
    """The parts folder of a transform, for this process alone until the block ends; then it goes if it is not needed.

    Raises BusyError if another process works on it, and InputError if it has parts that are not to be gone on with.
    """
    work = Work(folder.parent)
    try:
        with work.claimed(folder.name):
            parts = Parts(folder)
            if overwrite and not resume:
                _empty(folder)
            if parts.load(digest):
                if not resume:
                    raise InputError(
                        f"An earlier transform into this output ended before its time; what it did is in "
                        f"{str(folder)!r}. Go on with it by --resume, or begin anew by --overwrite."
                    )
            else:
                _empty(folder)
                parts.note(Begun(digest))
            try:
                yield parts
            finally:
                with suppress(OSError):
                    parts.keep()
                if parts.is_over or not (parts.rows or parts.inputs_done):
                    shutil.rmtree(folder, ignore_errors=True)
    except BusyError as error:
        raise BusyError(
            f"Another process writes this output, and keeps its parts in {str(folder)!r}. Wait for it, or end it."
        ) from error


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


def _lines_of(manifest: Path) -> list[Line]:
    """All lines that were written whole."""
    try:
        data = manifest.read_bytes()
    except FileNotFoundError:
        return []
    decoder = msgspec.json.Decoder(Line)
    lines: list[Line] = []
    size = 0
    for line in data.splitlines(keepends=True):
        try:
            lines.append(decoder.decode(line))
        except msgspec.DecodeError:
            break
        size += len(line)
    if size < len(data):  # a kill cut off the last: what follows is to stand on a line of its own
        os.truncate(manifest, size)
    return lines

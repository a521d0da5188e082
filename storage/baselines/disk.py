"""Baselines and reports as files: what cannot be read or written is told with its place and what to do."""

from pathlib import Path
from typing import Literal, cast, get_args

from storage.errors import AutopilotError, DataError, StoreError

#: Forms of a report, which are endings of its file too.
ReportForm = Literal["html", "md", "json"]

#: What who named a place can mend, unlike a full disk.
_MISPLACED = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def read_file(path: Path, what: str = "") -> bytes:
    """What a file holds. what: goes before its name in the error, with a space. Raises DataError if it is not there."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{what}{str(path)!r} cannot be read: {error.strerror}. Name another file.") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file. Raises DataError where none can be, and StoreError if it cannot be written."""
    _refuse_absent_folder(path)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise _unwritable(path, "written", error) from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there. Raises as `write_file`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, "made", error) from error


def report_form(path: Path) -> ReportForm:
    """In which form a report is written there, by the ending: to be asked before the work that a report takes.

    Raises DataError for another ending, and for a folder that is not there.
    """
    form, forms = path.suffix.lower().removeprefix("."), get_args(ReportForm)
    if form not in forms:
        raise DataError(
            f"{str(path)!r} does not tell the form of the report. Name it with one of "
            f"{', '.join(f'.{one}' for one in forms)}."
        )
    _refuse_absent_folder(path)
    return cast("ReportForm", form)


def _refuse_absent_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise DataError(f"There is no folder {str(path.parent)!r} to write {path.name!r} into. Make it first.")


def _unwritable(path: Path, done: str, error: OSError) -> AutopilotError:
    kind = DataError if isinstance(error, _MISPLACED) else StoreError
    return kind(f"{str(path)!r} cannot be {done}: {error.strerror}. Name another place.")

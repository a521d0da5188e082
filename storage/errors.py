"""Errors that all packages share.

AutopilotError
├── InputError            what the user gave cannot be used; exit code 2, HTTP 4xx
│   ├── DataError         a table: a file, a column, a row of it
│   ├── RowError          a row to predict; knows the row's number and the column's name
│   │   └── CellError      a DataError too: a cell of a table, or a column that it lacks
│   ├── SettingError      an option, an environment variable, a line of the settings file
│   ├── UnknownNameError  a model, version, endpoint or run that the store does not hold
│   ├── ConflictError     what was to be changed has changed since it was looked at
│   │   └── UsedError     what was to be deleted is needed by something else
│   └── BusyError         a run that another process works on
└── FailureError          the work could not be done; exit code 1, HTTP 5xx
    ├── UnreachableError  a file elsewhere that was named
    ├── StoreError        the store cannot be opened, read or written
    │   └── StoreVersionError  the store was written by a newer version of this program
    └── ModelFileError    a file is no model of ours, or was changed since it was written

A message names the place, the value received and the remedy, in this order.
"""

from collections.abc import Sequence

_LISTED = 8


class AutopilotError(Exception):
    """Root of every error that is raised on purpose; `str()` of it is meant for the user."""


class InputError(AutopilotError):
    """The user can mend this: exit code 2 on the command line, a 4xx status over HTTP."""


class DataError(InputError):
    """A table cannot be used as it is."""


class RowError(InputError):
    """One row to predict cannot be used.

    `row` counts from 0 in the request's order; `column` is None where the row as a whole is at fault. `cell` is where
    that is in the request, such as `instances[3].age`; None where nobody knows the request's shape.
    """

    cell: str | None = None

    def __init__(self, message: str, *, row: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.row = row
        self.column = column


class CellError(DataError, RowError):
    """A cell of a table cannot be used, or a column that is absent: then `row` is None. Knows what a RowError knows."""


class SettingError(InputError):
    """An option has a value that it cannot have."""


class UnknownNameError(InputError):
    """The store holds nothing by this name."""


class ConflictError(InputError):
    """What was to be changed is not as whoever changes it has seen it."""


class UsedError(ConflictError):
    """What was to be deleted is needed by something else."""


class BusyError(InputError):
    """Another process works on it."""


class FailureError(AutopilotError):
    """The work could not be done although the input was fine: exit code 1, a 5xx status."""


class UnreachableError(FailureError):
    """A file elsewhere that was named cannot be reached."""


class StoreError(FailureError):
    """The store cannot be opened, read or written."""


class StoreVersionError(StoreError):
    """The store has a schema that this version does not know."""


class ModelFileError(FailureError):
    """A file is not a model that autopilot wrote, or its bytes are not those that were written."""


def listed(names: Sequence[str], most: int = _LISTED) -> str:
    """Names inside a message: the first 8, or as many as are asked for, in quotes, and how many more there are.

    >>> listed(["age", "town"]), listed([])
    ("'age', 'town'", 'no columns')
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "no columns"


def counted(count: int, what: str) -> str:
    """How many there are, inside a message. what: the name of one, whose plural ends in s.

    >>> counted(1, "row"), counted(2000, "current row")
    ('1 row', '2,000 current rows')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def agreed(count: int, words: str) -> str:
    """Words that begin with a verb, as they are said of so many.

    >>> agreed(1, "are negative"), agreed(2, "are negative"), agreed(1, "repeat an earlier one")
    ('is negative', 'are negative', 'repeats an earlier one')
    """
    if count != 1:
        return words
    verb, _, rest = words.partition(" ")
    singular = {"are": "is", "have": "has"}.get(verb, f"{verb}s")
    return f"{singular} {rest}".rstrip()

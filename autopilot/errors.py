"""Errors of training. All come from the tree in `storage/errors.py`.

AutopilotError
├── InputError
│   └── BudgetError       the budget cannot be read, or is too short for any model
└── FailureError
    ├── FetchError        a URL did not answer
    ├── ParityError       no model's ONNX graph gives what was trained, so none is published
    └── TapeError         a run cannot be resumed or replayed from what was recorded of it
"""

from storage.errors import FailureError, InputError


class BudgetError(InputError):
    """The time budget is no time, or too little."""


class FetchError(FailureError):
    """A URL could not be read."""


class ParityError(FailureError):
    """No graph passed the parity gate."""


class TapeError(FailureError):
    """What was recorded of a run does not lead on."""

"""Errors of tasks, beside those that a task raises itself. All come from the tree in `storage/errors.py`.

FailureError
├── TimeLimitError      a task took longer than it may
├── MemoryLimitError    a task took more memory than it may
├── WorkerDiedError     the process ended while it did the task
└── SendError           a task, or its result, cannot be sent to another process
"""

from storage.errors import FailureError


class TimeLimitError(FailureError):
    """A task ran longer than its limit; its process was killed."""


class MemoryLimitError(FailureError):
    """A task took more memory than a worker may; its process was killed."""


class WorkerDiedError(FailureError):
    """The process that did a task ended: by a signal, by itself, or with the machine that it ran on."""


class SendError(FailureError):
    """Arguments or a result that cannot be pickled, or not be read on the other side."""

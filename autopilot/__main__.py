"""`autopilot` and `python -m autopilot`: the command line, its exit codes and its last words."""

import time

PROCESS_BEGAN = time.monotonic()  # before the other imports: a budget counts them

# ruff: noqa: E402
import atexit
import errno
import gc
import os
import sys

from storage.errors import FailureError, InputError
from storage.streams import open_streams

OK, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with its exit code: 0, 1 failed, 2 bad usage or bad data."""
    open_streams()
    atexit.register(gc.freeze)  # else Python looks through all objects for cycles as it ends: half a second after `fit`
    sys.exit(run(sys.argv[1:] if arguments is None else arguments, began=PROCESS_BEGAN))


def run(arguments: list[str], *, began: float | None = None) -> int:
    """Run a command; every error becomes a message on standard error and an exit code.

    began: from when a budget counts, by `time.monotonic`; None is now.
    """
    from cyclopts import CycloptsError

    from autopilot import cli

    cli.began = began
    try:
        return cli.app(arguments, exit_on_error=False, print_error=False, result_action="return_value") or OK
    except CycloptsError as error:
        return _say(f"{str(error).strip()} See: autopilot --help", BAD_USAGE)
    except InputError as error:
        return _say(str(error), BAD_USAGE)
    except FailureError as error:
        return _say(str(error), FAILED)
    except KeyboardInterrupt:
        return _say("Interrupted.", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output went away, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last place that can turn a bug into words
        return _say_unexpected(error)


def _say_unexpected(error: Exception) -> int:
    """A full disk or a bug; AUTOPILOT_DEBUG shows the traceback."""
    if "AUTOPILOT_DEBUG" in os.environ:
        raise error
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error):
        return _say(f"The disk is full: {error}. Free some space, or name another store with --store.", FAILED)
    if isinstance(error, MemoryError):
        return _say("The machine is out of memory. Give fewer rows or columns.", FAILED)
    return _say(
        f"Unexpected {type(error).__name__}: {error}. This is a bug; AUTOPILOT_DEBUG=1 shows where. Please report it.",
        FAILED,
    )


def _say(message: str, code: int) -> int:
    print(f"autopilot: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()

"""A call and its outcome as bytes.

cloudpickle sends what the user's own script or notebook defines by value, so that no process has to import it. Arrays
travel as they lie in memory, beside the pickle and not inside it (PEP 574), which saves a copy of a large result.
"""

import pickle
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from autopilot.workers.errors import SendError, WorkerDiedError
from autopilot.workers.shared import Shared

Buffer = bytes | bytearray | memoryview


class Call(NamedTuple):
    """A function with its arguments, packed. name: of the function; shared: those arguments that are folders."""

    name: str
    frames: list[Buffer]
    shared: tuple[Shared, ...]


def pack(value: Any) -> list[Buffer]:
    """A pickle, and the buffers that it leaves out."""
    import cloudpickle  # 20 ms, which `import autopilot.workers` does not have to wait for

    buffers: list[pickle.PickleBuffer] = []
    pickled: bytes = cloudpickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return [pickled, *(buffer.raw() for buffer in buffers)]


def unpack(frames: Sequence[Buffer]) -> Any:
    """The value; arrays in it use the frames' memory.

    >>> unpack(pack({"rounds": 3}))
    {'rounds': 3}
    """
    return pickle.loads(frames[0], buffers=frames[1:])  # noqa: S301 - our own processes wrote it


def pack_call(function: Callable[..., Any], args: tuple[Any, ...]) -> Call:
    """Raises SendError if the function or an argument cannot be pickled."""
    name = getattr(function, "__name__", type(function).__name__)
    try:
        frames = pack((function, args))
    except Exception as error:
        raise SendError(
            f"{name} and its arguments cannot be sent to a worker: {type(error).__name__}: {error}. "
            f"Leave out what cannot be pickled, such as open files, locks and connections."
        ) from error
    return Call(name, frames, tuple(arg for arg in args if isinstance(arg, Shared)))


def answer(frames: Sequence[Buffer]) -> list[Buffer]:
    """Do a packed call, in the worker; gives its packed outcome and raises nothing."""
    try:
        function, args = unpack(frames)
    except Exception as error:  # noqa: BLE001 - whatever reading runs: imports, constructors
        return _raised(
            SendError(
                f"The worker cannot read its task: {type(error).__name__}: {error}. "
                f"Put what the task needs into a module that can be imported where the worker runs."
            ),
            error,
        )
    try:
        outcome = (True, function(*args), "")
    except Exception as error:  # noqa: BLE001 - it is raised again where the result is asked for
        return _raised(error, error)
    except BaseException as error:  # noqa: BLE001 - SystemExit must end neither the worker nor the one who asks
        return _raised(WorkerDiedError(f"The task gave up with {type(error).__name__}: {error}."), error)
    try:
        return pack(outcome)
    except Exception as error:  # noqa: BLE001 - whatever pickling runs
        return _raised(SendError(f"The result cannot be sent back: {type(error).__name__}: {error}."), error)


def result_of(frames: Sequence[Buffer]) -> Any:
    """What the call returned. Raises what it raised, with the worker's traceback as a note."""
    is_returned, value, trace = unpack(frames)
    if is_returned:
        return value
    value.add_note(f"In the worker:\n{trace}")
    raise value


def _raised(told: BaseException, error: BaseException) -> list[Buffer]:
    """An outcome that raises `told`, with the traceback of `error`."""
    trace = "".join(traceback.format_exception(error)).rstrip()
    try:
        frames = pack((False, told, trace))
        unpack(frames)  # an exception with a constructor of its own may be written and not read
    except Exception:  # noqa: BLE001 - whatever its constructor runs
        return pack((False, RuntimeError(f"{type(told).__name__}: {told}"), trace))
    return frames

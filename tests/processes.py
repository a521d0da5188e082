"""Scripts in processes of their own: several at once, killed, or short of disk."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[1]

Found = TypeVar("Found")


def run(script: str, *arguments: object, returncode: int = 0) -> str:
    """What a script prints; it has to end with this return code, negative for a signal."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == returncode, done.stderr
    return done.stdout


def run_at_once(script: str, *arguments: object, count: int = 2) -> list[str]:
    """What several processes print that begin the same script at the same moment.

    The script calls `input("ready\\n")` where it is ready to go.
    """
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, [error for _, error in answers]
    return [out for out, _ in answers]


def soon(look: Callable[[], Found | None], within_s: float = 60.0) -> Found:
    """What a look finds, as soon as it finds something."""
    end = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return found

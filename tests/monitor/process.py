"""`python -m monitor` as users start it, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def monitor(*arguments: str, **environ: str) -> Generator["subprocess.Popen[str]"]:
    """`python -m monitor ARGUMENTS`, with warnings as errors; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "monitor", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: "subprocess.Popen[str]") -> str:
    """The first line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline()

"""A program ends with the one that started it."""

import os
import signal
import subprocess
import sys

from tests.processes import ROOT

SCRIPT = """
import sys, time
from storage.parent import end_with_parent
end_with_parent(int(sys.argv[1]))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_program_ends_as_by_sigterm_when_nobody_has_the_other_end_of_its_pipe() -> None:
    """Not before, and it says why."""
    reader, writer = os.pipe()
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(reader)]
    with subprocess.Popen(
        command, cwd=ROOT, pass_fds=(reader,), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.poll() is None
        os.close(writer)
        _, told = process.communicate(timeout=60)
    os.close(reader)
    assert process.returncode == -signal.SIGTERM
    assert told == f"The process that started this one is gone: process {process.pid} ends, too.\n"

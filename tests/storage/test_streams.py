"""Programs that are started with closed standard streams."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = """
import os, sys
from storage.streams import open_streams
open_streams()
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.write(file, " ".join(os.readlink(f"/proc/self/fd/{number}") for number in range(3)).encode())
"""


@pytest.mark.parametrize(
    ("closed", "streams"),
    [("<&-", "/dev/null pipe pipe"), (">&-", "pipe /dev/null pipe"), ("<&- >&- 2>&-", "/dev/null /dev/null /dev/null")],
)
def test_no_file_takes_the_place_of_a_stream(tmp_path: Path, closed: str, streams: str) -> None:
    """Those that are closed are opened on the null device, and the others left alone."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux tells which files are open")
    told = tmp_path / "told"
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", SCRIPT, str(told)]
    subprocess.run(command, cwd=ROOT, input=b"", capture_output=True, check=True)
    assert [name.split(":")[0] for name in told.read_text().split()] == streams.split()

"""Load that waits for its answers: wrk, which is one process in C and asks faster than any server here answers."""

import subprocess
from pathlib import Path

import msgspec


class Wrk(msgspec.Struct, frozen=True):
    """What wrk saw. p50_ms, p99_ms: from sending to the last byte."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int


def ask(url: str, bodies: Path, connections: int, seconds: int) -> Wrk:
    """Post the lines of a file in turn, for so many seconds, with so many requests under way at any time."""
    script = Path(__file__).with_name("rotate.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), url]
    text = subprocess.run([*command, "--", str(bodies)], check=True, capture_output=True, text=True).stdout
    seen = msgspec.json.decode(text.strip().splitlines()[-1], type=Wrk)
    assert not seen.errors, f"{seen.errors} of {seen.requests} requests to {url} failed:\n{text}"
    return seen

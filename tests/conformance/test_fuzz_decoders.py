"""A coverage-guided fuzzer finds no bytes that a decoder answers with anything but rows or the client's error."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.conftest import ROOT

pytestmark = pytest.mark.slow

TARGETS = ("json", "jsonlines", "csv", "npy", "v2", "mlflow", "tf", "gzip", "zstd")
RUNS = 50_000  # of each; some seconds


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_are_a_defect(target: str, tmp_path: Path) -> None:
    """The bytes that were found are in the message."""
    pytest.importorskip("atheris", reason="there is no atheris for this platform")
    command = [sys.executable, "-m", "tests.conformance.fuzz_decoders", target]
    limits = [f"-atheris_runs={RUNS}", "-max_len=2000", "-rss_limit_mb=2000", f"-artifact_prefix={tmp_path}/"]
    ended = subprocess.run([*command, *limits], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-3000:]

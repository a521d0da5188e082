"""NumPy is told of this processor as it is loaded.

With AVX-512, NumPy sorts by an instruction (`vpcompress` to memory) that is microcode on AMD's Zen 4: a million numbers
take 60 ms there, and 10 ms with AVX2. Zen 5 and Intel's are quick. https://github.com/numpy/x86-simd-sort/issues/6
"""

import os
import sys
from pathlib import Path

_SETTING = "NPY_DISABLE_CPU_FEATURES"


def load_numpy(processors: Path = Path("/proc/cpuinfo")) -> None:
    """Load NumPy, on Zen 4 so that it sorts with AVX2: in this process alone, for what others compute may not depend on
    who started them.

    Nothing is told where NumPy is loaded already, or where its setting `NPY_DISABLE_CPU_FEATURES` is there.
    """
    if "numpy" in sys.modules or _SETTING in os.environ or not _is_zen4(processors):
        return
    os.environ[_SETTING] = "X86_V4"
    try:
        import numpy  # noqa: F401  # pyright: ignore[reportUnusedImport]
    finally:
        del os.environ[_SETTING]


def _is_zen4(processors: Path) -> bool:
    """Family 25 is Zen 3 and Zen 4, of which the latter has AVX-512."""
    try:
        with processors.open(encoding="utf-8", errors="replace") as file:
            first = file.read(4096).split("\n\n", 1)[0]
    except OSError:
        return False
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    return (
        told.get("vendor_id") == "AuthenticAMD"
        and told.get("cpu family") == "25"
        and "avx512f" in told.get("flags", "").split()
    )

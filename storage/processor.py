"""What NumPy is told of this processor before it is imported.

With AVX-512, NumPy sorts by an instruction (`vpcompress` to memory) that is microcode on AMD's Zen 4: a million numbers
take 60 ms there, and 10 ms with AVX2. Zen 5 and Intel's are quick. https://github.com/numpy/x86-simd-sort/issues/6
"""

import os
import sys
from pathlib import Path


def spare_slow_sort(processors: Path = Path("/proc/cpuinfo")) -> None:
    """Have NumPy sort with AVX2 on Zen 4, in this process and those that it starts.

    Without effect where NumPy is loaded already, where `NPY_DISABLE_CPU_FEATURES` is set, and on other processors.
    """
    if "numpy" not in sys.modules and _is_zen4(processors):
        os.environ.setdefault("NPY_DISABLE_CPU_FEATURES", "X86_V4")


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

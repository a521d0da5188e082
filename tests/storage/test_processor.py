"""What NumPy is told of the processor."""

from pathlib import Path

import pytest

from tests.processes import run

ZEN = """processor	: 0
vendor_id	: {vendor}
cpu family	: {family}
model name	: whatever
flags		: fpu sse2 avx2 {flags}

processor	: 1
flags		: avx512f
"""


@pytest.mark.parametrize(
    ("vendor", "family", "flags", "told"),
    [
        ("AuthenticAMD", "25", "avx512f", "X86_V4"),  # Zen 4
        ("AuthenticAMD", "25", "", "None"),  # Zen 3
        ("AuthenticAMD", "26", "avx512f", "None"),  # Zen 5
        ("GenuineIntel", "25", "avx512f", "None"),
    ],
)
def test_only_zen_4_is_told_to_sort_without_avx512(
    vendor: str, family: str, flags: str, told: str, tmp_path: Path
) -> None:
    """By the kernel's list of processors."""
    listed = tmp_path / "cpuinfo"
    listed.write_text(ZEN.format(vendor=vendor, family=family, flags=flags))
    assert _told(listed) == told


def test_without_a_list_of_processors_nothing_is_told(tmp_path: Path) -> None:
    """As on macOS."""
    assert _told(tmp_path / "none") == "None"


@pytest.mark.parametrize(
    "needed", ["autopilot.__main__", "autopilot.fit", "serving.__main__", "monitor.__main__", "storage.store"]
)
def test_numpy_is_told_before_it_is_loaded(needed: str) -> None:
    """By whatever program or part comes first."""
    script = f"""if True:
        import builtins, sys
        real, seen = builtins.__import__, []
        def noting(name, *rest):
            if name == 'numpy' or name == 'storage.processor':
                seen.append(name)
            return real(name, *rest)
        builtins.__import__ = noting
        import {needed}
        print(seen[0])"""
    assert run(script).strip() == "storage.processor"


def _told(listed: Path) -> str:
    script = f"""if True:
        import os, pathlib, sys
        import storage.processor as processor
        sys.modules.pop('numpy', None)
        os.environ.pop('NPY_DISABLE_CPU_FEATURES', None)
        processor.spare_slow_sort(pathlib.Path({str(listed)!r}))
        print(os.environ.get('NPY_DISABLE_CPU_FEATURES'))"""
    return run(script).strip()

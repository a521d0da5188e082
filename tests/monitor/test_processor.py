"""What NumPy is told of the processor as the monitor loads it."""

from pathlib import Path

import pytest

from tests.processes import ROOT, run

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


@pytest.mark.parametrize("needed", ["monitor", "monitor.__main__"])
def test_the_monitor_loads_numpy_so_before_all_else(needed: str) -> None:
    """Whatever program or part comes first."""
    script = f"""if True:
        import sys
        seen = []
        sys.addaudithook(lambda event, found: event == 'import' and seen.append(found[0]))
        import {needed}
        ours = [name for name in seen if name.startswith('monitor.') and name != {needed!r}]
        print(ours[0], seen.index('monitor.processor') < seen.index('numpy'))"""
    assert run(script).strip() == "monitor.processor True"


def _told(listed: Path) -> str:
    """The setting as NumPy is loaded, which the audit hook forbids then: it is gone afterwards."""
    script = f"""if True:
        import os, pathlib, runpy, sys
        def forbid(event, found):
            if event == 'import' and found[0] == 'numpy':
                seen.append(os.environ['NPY_DISABLE_CPU_FEATURES'])
                raise ImportError
        seen = []
        os.environ.pop('NPY_DISABLE_CPU_FEATURES', None)
        load_numpy = runpy.run_path({str(ROOT / "monitor/processor.py")!r})['load_numpy']
        sys.addaudithook(forbid)
        try:
            load_numpy(pathlib.Path({str(listed)!r}))
        except ImportError:
            pass
        print(seen[0] if seen else None, 'NPY_DISABLE_CPU_FEATURES' in os.environ)"""
    told, stays = run(script).split()
    assert stays == "False"
    return told

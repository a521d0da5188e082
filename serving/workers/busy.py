"""How busy this process is, as a share of what one event loop can do."""

import time
from pathlib import Path

#: Of the main thread, which runs the event loop: nanoseconds that it ran, and that it waited for a CPU.
#: https://docs.kernel.org/scheduler/sched-stats.html
_SCHEDULED = Path("/proc/self/schedstat")


class Busy:
    """Measures from one call to the next.

    Of CPU time alone, a process on a crowded machine seems idle that has all hands full and no CPU: the time for which
    the event loop was ready to run and did not counts too. Linux tells it; elsewhere CPU time has to do.
    """

    def __init__(self) -> None:
        self._at, self._cpu, self._loop = time.monotonic(), time.process_time(), _loop_s()

    def share(self) -> float:
        """Since the last call: the greater of the CPU time of all threads, which share one interpreter, and the time
        that the event loop ran or wanted to; 0 to 1."""
        at, cpu, loop = time.monotonic(), time.process_time(), _loop_s()
        passed = max(at - self._at, 1e-6)
        used = max(cpu - self._cpu, loop - self._loop)
        self._at, self._cpu, self._loop = at, cpu, loop
        return min(1.0, max(0.0, used / passed))


def _loop_s() -> float:
    """Seconds that the main thread ran or waited for a CPU; 0 where nobody tells."""
    try:
        ran, waited = _SCHEDULED.read_text().split()[:2]
    except (OSError, ValueError):
        return 0.0
    return (int(ran) + int(waited)) / 1e9

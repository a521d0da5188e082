"""How busy a process is."""

import time

from serving.workers.busy import Busy


def test_a_process_that_sleeps_is_idle_and_one_that_works_is_busy() -> None:
    """Also on a crowded machine: waiting for a CPU counts as work."""
    busy = Busy()
    time.sleep(0.5)
    assert busy.share() < 0.5
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    assert busy.share() > 0.5
    assert 0.0 <= busy.share() <= 1.0

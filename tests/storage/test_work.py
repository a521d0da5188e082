"""A run's working folder belongs to one process at a time, and to nobody once that process is gone."""

import signal
import subprocess
import sys
from pathlib import Path

from storage import BusyError, Store
from tests.processes import ROOT
from tests.refusals import raises

_HOLD = """
import sys, time
from storage import Store
with Store.open(sys.argv[1]).work.claimed("r1"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_made_when_it_is_claimed_and_private(store: Store) -> None:
    """Nobody else reads what is in it."""
    with store.work.claimed("r1") as folder:
        (folder / "file").write_text("kept")
        assert store.work.is_claimed("r1")
        assert folder.stat().st_mode & 0o077 == 0
    assert (store.work.path("r1") / "file").read_text() == "kept"
    assert not store.work.is_claimed("r1")


def test_a_second_process_is_refused_and_told_who_works(store: Store) -> None:
    """And gets it once the first was killed, with all that was in it."""
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(store.root)], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert store.work.is_claimed("r1")
        with raises(BusyError, f"Run 'r1' is being worked on by process {holder.pid}."), store.work.claimed("r1"):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert not store.work.is_claimed("r1")
    with store.work.claimed("r1"):
        pass


def test_a_run_without_a_folder_is_not_claimed(store: Store, tmp_path: Path) -> None:
    """To ask makes none."""
    assert not store.work.has("r1")
    assert not store.work.is_claimed("r1")
    assert not store.work.has("r1")


def test_a_folder_that_is_removed_is_gone(store: Store) -> None:
    """Twice does no harm."""
    with store.work.claimed("r1"):
        store.work.remove("r1")
    store.work.remove("r1")
    assert not store.work.has("r1")

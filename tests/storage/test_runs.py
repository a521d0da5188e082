"""Runs, their trials and their experiments are kept as they were given."""

import sqlite3

from msgspec.structs import replace

from storage import Store, UnknownNameError
from storage.records import Experiment
from tests.records import HOUR, NOW, run, trial
from tests.refusals import raises


def test_a_run_is_read_as_it_was_written(store: Store) -> None:
    """Each field, microseconds and the largest seed too."""
    store.runs.start(run())
    assert store.runs.get("r1") == run()


def test_a_run_is_there_for_the_next_opener(store: Store) -> None:
    """What was written is read through another Store of the same folder."""
    store.runs.start(run())
    store.runs.add_trial(trial())
    other = Store.open(store.root)
    assert other.runs.get("r1") == run()
    assert other.runs.trials("r1") == [trial()]
    other.close()


def test_a_completed_run_names_its_model(store: Store) -> None:
    """`complete` notes when, and which version."""
    store.runs.start(run())
    store.runs.complete("r1", NOW + HOUR, "demo", 3)
    assert store.runs.get("r1") == replace(run(), status="completed", ended_at=NOW + HOUR, model="demo", version=3)


def test_a_failed_run_says_why(store: Store) -> None:
    """`fail` notes when, and the reason."""
    store.runs.start(run())
    store.runs.fail("r1", NOW + HOUR, "MemoryError: no")
    assert store.runs.get("r1") == replace(run(), status="failed", ended_at=NOW + HOUR, reason="MemoryError: no")


def test_runs_are_listed_newest_first_up_to_a_limit(store: Store) -> None:
    """The order is that of their beginning, whatever the order of writing."""
    for name, hours in (("b", 1), ("c", 2), ("a", 0)):
        store.runs.start(run(name, created_at=NOW + hours * HOUR))
    assert [found.id for found in store.runs.list()] == ["c", "b", "a"]
    assert [found.id for found in store.runs.list(limit=2)] == ["c", "b"]


def test_an_experiment_begins_with_its_first_run(store: Store) -> None:
    """Later runs of the same experiment change nothing of it."""
    store.runs.start(run("r1", experiment="b"))
    store.runs.start(run("r2", experiment="b", created_at=NOW + HOUR))
    store.runs.start(run("r3", experiment="a", created_at=NOW + HOUR))
    assert store.runs.experiments() == [Experiment("a", NOW + HOUR), Experiment("b", NOW)]


def test_trials_are_read_in_the_order_of_their_numbers(store: Store) -> None:
    """Whatever the order in which they ended; those of other runs are left out."""
    store.runs.start(run("r1"))
    store.runs.start(run("r2"))
    for found in (trial(2), trial(0), trial(1), trial(0, run_id="r2")):
        store.runs.add_trial(found)
    assert store.runs.trials("r1") == [trial(0), trial(1), trial(2)]


def test_a_failed_trial_keeps_its_reason_and_has_no_score(store: Store) -> None:
    """Nothing stands in for a score that was never computed."""
    failed = replace(trial(), status="failed", score=None, fold_scores=(), reason="ValueError: no")
    store.runs.start(run())
    store.runs.add_trial(failed)
    assert store.runs.trials("r1") == [failed]


def test_an_unknown_run_is_named(store: Store) -> None:
    """The message says what was asked for and where to look."""
    with raises(UnknownNameError, "The store has no run 'r9'. `autopilot runs` lists them."):
        store.runs.get("r9")
    assert store.runs.trials("r9") == []


def test_times_are_kept_as_whole_microseconds_since_1970(store: Store) -> None:
    """So that they sort in each database and lose nothing."""
    store.runs.start(run())
    with sqlite3.connect(store.root / "autopilot.db") as connection:
        found = connection.execute("SELECT created_at FROM runs").fetchall()
    connection.close()
    assert found == [(1_714_570_200_123_456,)]  # date -d 2024-05-01T13:30:00Z +%s


def test_events_are_numbered_from_one_and_read_in_order(store: Store) -> None:
    """Each run counts for itself; readers ask for what came after a number, or for one kind."""
    store.runs.start(run("r1"))
    store.runs.start(run("r2", created_at=NOW + HOUR))
    for number, kind in enumerate(("Note", "Phase", "Note")):
        store.runs.add_event("r1", NOW, kind, f'{{"number": {number}}}')
    store.runs.add_event("r2", NOW, "Note")
    assert [(event.number, event.kind) for event in store.runs.events("r1")] == [(1, "Note"), (2, "Phase"), (3, "Note")]
    assert [event.number for event in store.runs.events("r1", after=2)] == [3]
    assert [event.body for event in store.runs.events("r1", kind="Phase")] == ['{"number": 1}']
    assert [event.number for event in store.runs.events("r2")] == [1]


def test_an_interrupted_run_goes_on_under_its_own_id(store: Store) -> None:
    """Its end and the reason for it are taken back."""
    store.runs.start(run())
    store.runs.fail("r1", NOW + HOUR, "interrupted")
    store.runs.resume("r1")
    assert store.runs.get("r1") == run()


def test_a_trial_that_is_noted_again_takes_the_place_of_the_first(store: Store) -> None:
    """A process may be killed between a trial's record and the note that it has ended."""
    store.runs.start(run())
    store.runs.add_trial(replace(trial(), score=0.1))
    store.runs.add_trial(trial())
    assert store.runs.trials("r1") == [trial()]

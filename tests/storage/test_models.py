"""The registry: versions are numbered, never change, and can be read by whoever sees them."""

import io

import polars as pl
import pytest
from msgspec.structs import replace

from storage import InputError, Predictor, Store, UnknownNameError
from storage.models import check_name
from tests import portable, processes
from tests.records import NOW
from tests.refusals import raises


def test_versions_are_numbered_from_one_within_a_name(store: Store) -> None:
    """Each name has its own numbers."""
    published = [portable.publish(store, portable.classifier(), name=name) for name in ("a", "b", "a", "a")]
    assert [(version.name, version.version) for version in published] == [("a", 1), ("b", 1), ("a", 2), ("a", 3)]


def test_a_version_is_read_as_it_was_published(store: Store) -> None:
    """Signature and card are whole again."""
    published = portable.publish(store, portable.classifier(), now=NOW)
    assert store.models.get("demo:1") == published
    assert published.signature == portable.CLASSIFIER
    assert published.card == portable.card("binary")


def test_a_name_alone_means_its_latest_version(store: Store) -> None:
    """`name` and `name:2` are the same while 2 is the latest."""
    first, second = (portable.publish(store, portable.classifier(shift)) for shift in (0.0, 1.0))
    assert store.models.get("demo") == store.models.get("demo:2") == second
    assert store.models.get("demo:1") == first


def test_versions_are_listed_by_name_newest_first(store: Store) -> None:
    """As a person looks for them."""
    for name in ("b", "a", "b"):
        portable.publish(store, portable.classifier(), name=name)
    assert [(found.name, found.version) for found in store.models.list()] == [("a", 1), ("b", 2), ("b", 1)]


def test_file_and_reference_of_a_version_are_read_through_it(store: Store) -> None:
    """The file predicts, the reference is Parquet with the inputs and the outputs beside them."""
    version = portable.publish(store, portable.regressor())
    assert Predictor(store.models.read_file(version)).predict_rows(portable.ROWS) == [
        {"prediction": score} for score in portable.SCORES
    ]
    reference = pl.read_parquet(io.BytesIO(store.models.read_reference(version)))
    assert reference.columns == ["amount", "town", "visits", "seen", "autopilot.prediction"]
    assert reference.get_column("autopilot.prediction").to_list() == list(portable.SCORES)


@pytest.mark.parametrize("spec", ["demo", "demo:2", "other:1", "", "demo:", "demo:99999999999999999999", "Demo:1"])
def test_a_version_that_is_not_there_is_named(store: Store, spec: str) -> None:
    """Neither a missing name nor a number beyond the database's integers is anything else."""
    portable.publish(store, portable.classifier(), name="demo" if spec == "demo:2" else "third")
    with raises(UnknownNameError, f"'{spec}'"):
        store.models.get(spec)


@pytest.mark.parametrize("spec", ["demo:stable", "demo:-1", "demo:1.0", "demo:1:2", "demo: 1"])
def test_a_version_that_is_neither_a_number_nor_an_alias_is_refused(store: Store, spec: str) -> None:
    """The message shows how a version is written."""
    portable.publish(store, portable.classifier())
    with raises(UnknownNameError, f"The store has no model '{spec}'. Write name, name:3 or name:ALIAS; "):
        store.models.get(spec)


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "7", "x" * 63])
def test_names_that_fit_a_url_and_a_path_are_taken(name: str) -> None:
    """Letters, digits, '_', '-' and '.', a letter or digit first, at most 63."""
    assert check_name(name, "a model") == name


@pytest.mark.parametrize("name", ["", ".", "..", "-a", "_a", "a b", "a/b", "a:1", "ä", "x" * 64, "a\n", "a\0"])
def test_other_names_are_refused(name: str) -> None:
    """Nothing can climb out of its folder or break a URL."""
    with raises(InputError, "cannot name a model. Use up to 63 letters"):
        check_name(name, "a model")


def test_two_processes_that_publish_at_once_get_different_numbers(store: Store) -> None:
    """Twenty versions by two processes are numbered 1 to 20, none twice."""
    portable.publish(store, portable.classifier())
    script = """
import sys
from storage import Store
store = Store.open(sys.argv[1])
first = store.models.get("demo:1")
input("ready\\n")
for _ in range(10):
    print(store.models.publish(first).version)
"""
    printed = processes.run_at_once(script, store.root)
    assert sorted(int(line) for out in printed for line in out.split()) == list(range(2, 22))


def test_a_better_model_of_a_run_takes_the_place_of_its_first(store: Store) -> None:
    """The number stays; what the record says is the newer one's."""
    first = portable.publish(store, portable.classifier(), name="a")
    better = store.models.publish(replace(first, digest="0" * 64), replacing=first.version)
    assert better.version == first.version
    assert [found.digest for found in store.models.list()] == ["0" * 64]


def test_a_version_that_is_served_or_of_another_run_is_never_replaced(store: Store) -> None:
    """What answered requests can be looked at later: the better model gets the next number."""
    first = portable.publish(store, portable.classifier(), name="a")
    store.endpoints.deploy("live", first, NOW)
    assert store.models.publish(first, replacing=first.version).version == 2
    store.models.withdraw(first)
    assert store.models.get("a:1") == first


def test_a_version_can_be_withdrawn_until_it_is_served(store: Store) -> None:
    """By the run that published it, before it ends."""
    first = portable.publish(store, portable.classifier(), name="a")
    store.models.withdraw(first)
    assert store.models.list() == []

"""Aliases name versions, and versions that something uses are not deleted."""

from datetime import timedelta

import pytest

from storage import InputError, Store, UnknownNameError
from storage.errors import ConflictError, UsedError
from storage.records import Variant
from storage.rollouts import Plan
from tests import portable
from tests.records import NOW, endpoint_record
from tests.refusals import raises


@pytest.fixture
def models(store: Store) -> Store:
    """With `demo:1`, `demo:2` and `demo:3`."""
    for shift in (0.0, 1.0, 2.0):
        portable.publish(store, portable.classifier(shift))
    return store


def test_an_alias_is_a_version_wherever_a_number_is(models: Store) -> None:
    """Until it is moved."""
    models.aliases.put("demo", "production", 1, NOW)
    assert models.models.get("demo:production").version == 1
    moved = models.aliases.put("demo", "production", 2, NOW + timedelta(hours=1))
    assert models.models.get("demo:production").version == 2
    assert models.aliases.list("demo") == models.aliases.list() == [moved]
    assert models.models.get("demo:latest").version == 3
    models.aliases.remove("demo", "production")
    with raises(UnknownNameError, "The store has no model 'demo:production'."):
        models.models.get("demo:production")
    with raises(UnknownNameError, "Model 'demo' has no alias 'production'."):
        models.aliases.remove("demo", "production")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("3", "Alias '3' is what versions are numbered by. Use another word, such as production."),
        ("latest", "Alias 'latest' is the newest version, always."),
        ("a:b", "'a:b' cannot name an alias."),
        ("", "'' cannot name an alias."),
    ],
)
def test_an_alias_cannot_be_taken_for_a_number(models: Store, name: str, message: str) -> None:
    """Nor for what has a meaning already."""
    with raises(InputError, message):
        models.aliases.put("demo", name, 1, NOW)


def test_an_alias_is_of_a_version_that_there_is(models: Store) -> None:
    """And stays where it was if there is none."""
    models.aliases.put("demo", "production", 1, NOW)
    with raises(UnknownNameError, "The store has no model 'demo:9'."):
        models.aliases.put("demo", "production", 9, NOW)
    assert models.models.get("demo:production").version == 1


def test_a_version_that_is_used_is_not_deleted(models: Store) -> None:
    """By an endpoint, a shadow, an alias, a roll-out or a job."""
    first, second = (models.models.get(f"demo:{number}") for number in (1, 2))
    models.endpoints.deploy("shop", first, NOW)
    with raises(UsedError, "Model version 'demo:1' is used by endpoint 'shop'. Let it go there first."):
        models.models.delete("demo", 1)
    record = models.endpoints.get("shop")
    shadowed = type(record)("shop", record.variants, 0, NOW, NOW, shadows=(Variant("next", "demo", 2),))
    models.endpoints.put(shadowed, NOW)
    with raises(UsedError, "is used by endpoint 'shop'"):
        models.models.delete("demo", 2)
    models.endpoints.deploy("shop", second, NOW)
    models.aliases.put("demo", "production", 1, NOW)
    with raises(UsedError, "Model version 'demo:1' is used by alias 'production'."):
        models.models.delete("demo", 1)
    models.aliases.remove("demo", "production")
    models.jobs.create("backtest", '{"model": "demo:1"}', NOW)  # what else a job names is no model of it
    job = models.jobs.create("batch", '{"model": "demo:1"}', NOW)
    with raises(UsedError, f"Model version 'demo:1' is used by job {job.id}."):
        models.models.delete("demo", 1)
    models.jobs.stop(job.id, NOW)
    models.models.delete("demo", 1)
    assert [version.version for version in models.models.list()] == [3, 2]
    with raises(UnknownNameError, "The store has no model 'demo:1'."):
        models.models.delete("demo", 1)


def test_a_version_that_a_rollout_may_go_back_to_is_not_deleted(models: Store) -> None:
    """As long as it runs."""
    models.endpoints.deploy("shop", models.models.get("demo:1"), NOW)
    rollout = models.rollouts.start("shop", Plan("demo:2"), NOW)
    models.endpoints.deploy("shop", models.models.get("demo:3"), NOW)  # by somebody who knows nothing of it
    with raises(UsedError, f"Model version 'demo:1' is used by roll-out {rollout.id}."):
        models.models.delete("demo", 1)


def test_the_number_of_a_deleted_version_is_not_given_again(models: Store) -> None:
    """What was captured of it is not taken for another's."""
    models.models.delete("demo", 3)
    assert portable.publish(models, portable.classifier(5.0)).version == 4


def test_changes_that_belong_together_are_kept_together(models: Store) -> None:
    """Or none of them; what raises inside and is caught undoes itself alone."""
    with models.idempotency.together():
        models.aliases.put("demo", "a", 1, NOW)
        with pytest.raises(ConflictError):
            models.endpoints.put(endpoint_record("shop"), NOW, expected=5)
        assert models.models.get("demo:a").version == 1
    assert models.models.get("demo:a").version == 1

    def both() -> None:
        with models.idempotency.together():
            models.aliases.put("demo", "b", 1, NOW)
            models.aliases.put("demo", "c", 9, NOW)

    with pytest.raises(UnknownNameError):
        both()
    assert [alias.name for alias in models.aliases.list()] == ["a"]


def test_lists_go_on_after_a_place(models: Store) -> None:
    """Of models by name and version."""
    portable.publish(models, portable.classifier(), name="zoo")
    found = models.models.list(limit=2, after=("demo", 3))
    assert [(version.name, version.version) for version in found] == [("demo", 2), ("demo", 1)]
    assert [version.name for version in models.models.list(after=("demo", 1))] == ["zoo"]
    assert [version.version for version in models.models.list("demo", limit=1)] == [3]

"""Endpoints: which model version is served under which name."""

import math
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from storage import ConflictError, InputError, Store, UnknownNameError
from storage.errors import AutopilotError
from storage.records import CapturePolicy, Endpoint, EndpointLimits, Variant
from tests import portable, processes
from tests.records import HOUR, NOW, schedule
from tests.refusals import raises


def test_a_new_endpoint_begins_at_revision_one(store: Store) -> None:
    """It is returned, and read back the same."""
    version = portable.publish(store, portable.classifier())
    deployed = store.endpoints.deploy("paid", version, NOW)
    assert deployed == Endpoint("paid", (Variant("main", "demo", 1),), 1, NOW, NOW)
    assert store.endpoints.get("paid") == deployed


def test_each_deployment_raises_the_revision_and_keeps_the_rest(store: Store) -> None:
    """Also when nothing but the capture changes: servers follow the revision."""
    first, second = (portable.publish(store, portable.classifier(shift)) for shift in (0.0, 1.0))
    store.endpoints.deploy("paid", first, NOW, capture=CapturePolicy(share=0.5))
    again = store.endpoints.deploy("paid", second, NOW + HOUR)
    assert (again.model, again.version, again.revision) == ("demo", 2, 2)
    assert (again.capture.share, again.created_at, again.updated_at) == (0.5, NOW, NOW + HOUR)
    last = store.endpoints.deploy("paid", second, NOW + 2 * HOUR, capture=CapturePolicy(share=0.0))
    assert (
        last
        == store.endpoints.get("paid")
        == replace(again, revision=3, capture=CapturePolicy(share=0.0), updated_at=NOW + 2 * HOUR)
    )


def test_a_change_of_nothing_leaves_the_revision(versions: Store) -> None:
    """The same version deployed again, the same configuration put, the same weights: it is as it was."""
    deployed = versions.endpoints.deploy("one", versions.models.get("demo:1"), NOW)
    assert versions.endpoints.deploy("one", versions.models.get("demo:1"), NOW + HOUR) == deployed
    made = versions.endpoints.put(TWO, NOW)
    assert versions.endpoints.put(TWO, NOW + HOUR) == made
    assert versions.endpoints.set_weights("paid", {"old": 9}, NOW + HOUR) == made
    assert versions.endpoints.list() == [deployed, made]
    with raises(ConflictError, "Endpoint 'paid' is at revision 1"):
        versions.endpoints.put(TWO, NOW + HOUR, expected=2)


def test_endpoints_are_listed_by_name(store: Store) -> None:
    """Two endpoints may serve the same version."""
    version = portable.publish(store, portable.classifier())
    for name in ("b", "a"):
        store.endpoints.deploy(name, version, NOW)
    assert [(found.name, found.model, found.version) for found in store.endpoints.list()] == [
        ("a", "demo", 1),
        ("b", "demo", 1),
    ]


def test_an_unknown_endpoint_is_named(store: Store) -> None:
    """The message says what was asked for and where to look."""
    message = "The store has no endpoint 'paid'. `autopilot endpoints` lists those that it has."
    with raises(UnknownNameError, message):
        store.endpoints.get("paid")
    assert store.endpoints.list() == []


def test_a_long_name_is_not_repeated_whole(store: Store) -> None:
    """Its beginning is enough to know it by."""
    with raises(UnknownNameError, f"The store has no endpoint '{'x' * 80}'. `autopilot endpoints`"):
        store.endpoints.get("x" * 500)


def test_a_name_that_no_url_can_hold_is_refused(store: Store) -> None:
    """And nothing is made."""
    version = portable.publish(store, portable.classifier())
    with raises(InputError, "'a/b' cannot name an endpoint. Use up to 63 letters"):
        store.endpoints.deploy("a/b", version, NOW)
    assert store.endpoints.list() == []


def test_two_processes_that_deploy_at_once_lose_no_revision(store: Store) -> None:
    """Twenty deployments by two processes, each with another share of capture, are twenty revisions."""
    portable.publish(store, portable.classifier())
    script = """
import os, sys
from datetime import UTC, datetime
from storage import Store
from storage.records import CapturePolicy
store = Store.open(sys.argv[1])
version = store.models.get("demo")
input("ready\\n")
for number in range(10):
    capture = CapturePolicy(share=os.getpid() / 10**8 + number / 100)
    print(store.endpoints.deploy("paid", version, datetime.now(UTC), capture=capture).revision)
"""
    printed = processes.run_at_once(script, store.root)
    assert sorted(int(line) for out in printed for line in out.split()) == list(range(1, 21))
    assert store.endpoints.get("paid").revision == 20


TWO = Endpoint("paid", (Variant("old", "demo", 1, 9.0), Variant("new", "demo", 2, 1.0)), 0, NOW, NOW)


@pytest.fixture
def versions(store: Store) -> Store:
    """A store with demo:1 and demo:2, and a model of numbers, price:1."""
    for shift in (0.0, 1.0):
        portable.publish(store, portable.classifier(shift))
    portable.publish(store, portable.regressor(), name="price")
    return store


def test_an_endpoint_has_variants_with_weights(versions: Store) -> None:
    """The one of the greatest weight stands for it where only one version can be told."""
    made = versions.endpoints.put(TWO, NOW)
    assert made == versions.endpoints.get("paid") == replace(TWO, revision=1)
    assert (made.model, made.version) == ("demo", 1)
    moved = versions.endpoints.set_weights("paid", {"new": 20}, NOW + HOUR)
    assert [variant.weight for variant in moved.variants] == [9.0, 20.0]
    assert (moved.version, moved.revision, moved.created_at, moved.updated_at) == (2, 2, NOW, NOW + HOUR)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"variants": ()}, InputError, "Endpoint 'paid' has no production variant. Give it one."),
        ({"variants": TWO.variants * 2}, InputError, "Endpoint 'paid' has two variants 'new'. Give each its own name."),
        ({"variants": (Variant("a", "demo", 9),)}, UnknownNameError, "no model 'demo:9', which variant 'a' names."),
        ({"variants": (Variant("a b", "demo", 1),)}, InputError, "'a b' cannot name a variant."),
        ({"variants": (Variant("a", "demo", 1, 0.0),)}, InputError, "The weights of endpoint 'paid' sum to 0."),
        (
            {"variants": (Variant("a", "demo", 1, -1.0),)},
            InputError,
            "The weight of variant 'a' is -1.0. Use 0 or more.",
        ),
        ({"variants": (Variant("a", "demo", 1, math.nan),)}, InputError, "The weight of variant 'a' is nan."),
        (
            {"variants": (Variant("a", "demo", 1, 1e308), Variant("b", "demo", 2, 1e308))},
            InputError,
            "The weights of endpoint 'paid' sum to more than a number can hold, 1.8e308. Only their ratio counts: give",
        ),
        ({"variants": (Variant("a", "m" * 500, 9),)}, UnknownNameError, f"no model '{'m' * 80}', which variant 'a'"),
        ({"shadows": (Variant("s", "demo", 2, 1.5),)}, InputError, "Shadow 's' sees a share of 1.5 of requests."),
        ({"shadows": (Variant("old", "demo", 2),)}, InputError, "Endpoint 'paid' has two variants 'old'."),
        ({"shadows": (Variant("s", "price", 1),)}, InputError, "Variant 's' predicts a number, variant 'old' one of"),
        ({"capture": CapturePolicy(share=2.0)}, InputError, "The share of requests to capture is 2.0. Use 0 to 1."),
        ({"capture": CapturePolicy(redact={"iban": "hash"})}, InputError, "Column 'iban' is to be redacted, and no"),
        ({"limits": EndpointLimits(max_rows=0)}, InputError, "max_rows of endpoint 'paid' is 0. Use 1 or more"),
    ],
)
def test_what_cannot_be_served_is_refused_and_changes_nothing(
    versions: Store, change: dict[str, object], error: type[AutopilotError], message: str
) -> None:
    """Whole: the endpoint stays as it was."""
    before = versions.endpoints.put(TWO, NOW)
    with raises(error, message):
        versions.endpoints.put(replace(TWO, **change), NOW + HOUR)
    assert versions.endpoints.get("paid") == before


def test_weights_of_an_unknown_variant_are_refused(versions: Store) -> None:
    """Those that there are are listed."""
    versions.endpoints.put(TWO, NOW)
    with raises(InputError, "Endpoint 'paid' has no variant 'newer'. Its variants are 'old', 'new'."):
        versions.endpoints.set_weights("paid", {"newer": 1.0}, NOW)


CHANGES: list[Callable[[Store], object]] = [
    lambda store: store.endpoints.put(TWO, NOW, expected=1),
    lambda store: store.endpoints.put(TWO, NOW, expected=0),
    lambda store: store.endpoints.deploy("paid", store.models.get("demo"), NOW, expected=1),
    lambda store: store.endpoints.set_weights("paid", {"old": 1.0}, NOW, expected=1),
    lambda store: store.endpoints.delete("paid", NOW, expected=1),
]


@pytest.mark.parametrize("change", CHANGES)
def test_who_saw_an_earlier_revision_changes_nothing(versions: Store, change: Callable[[Store], object]) -> None:
    """The message tells the revision that there is."""
    versions.endpoints.put(TWO, NOW)
    now = versions.endpoints.set_weights("paid", {"old": 8.0}, NOW)
    with raises(ConflictError, "Endpoint 'paid' is at revision 2"):
        change(versions)
    assert versions.endpoints.get("paid") == now


def test_a_deleted_endpoint_takes_its_schedule_with_it(versions: Store) -> None:
    """And can be made again, from revision 1."""
    versions.endpoints.put(TWO, NOW)
    versions.schedules.put(schedule("paid"))
    versions.endpoints.delete("paid", NOW)
    assert (versions.endpoints.list(), versions.schedules.list()) == ([], [])
    assert versions.endpoints.put(TWO, NOW).revision == 1
    versions.endpoints.delete("paid", NOW)
    with raises(UnknownNameError, "The store has no endpoint 'paid'."):
        versions.endpoints.delete("paid", NOW)

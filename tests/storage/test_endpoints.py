"""Endpoints: which model version is served under which name."""

from storage import InputError, Store, UnknownNameError
from storage.records import Endpoint
from tests import portable, processes
from tests.records import HOUR, NOW
from tests.refusals import raises


def test_a_new_endpoint_begins_at_revision_one(store: Store) -> None:
    """It is returned, and read back the same."""
    version = portable.publish(store, portable.classifier())
    deployed = store.endpoints.deploy("paid", version, NOW)
    assert deployed == Endpoint("paid", "demo", 1, 1, True, NOW, NOW)
    assert store.endpoints.get("paid") == deployed


def test_each_deployment_raises_the_revision_and_keeps_the_first_time(store: Store) -> None:
    """Also when nothing but the capture changes: servers follow the revision."""
    first, second = (portable.publish(store, portable.classifier(shift)) for shift in (0.0, 1.0))
    store.endpoints.deploy("paid", first, NOW)
    assert store.endpoints.deploy("paid", second, NOW + HOUR) == Endpoint("paid", "demo", 2, 2, True, NOW, NOW + HOUR)
    last = store.endpoints.deploy("paid", second, NOW + 2 * HOUR, capture=False)
    assert last == store.endpoints.get("paid") == Endpoint("paid", "demo", 2, 3, False, NOW, NOW + 2 * HOUR)


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


def test_a_name_that_no_url_can_hold_is_refused(store: Store) -> None:
    """And nothing is made."""
    version = portable.publish(store, portable.classifier())
    with raises(InputError, "'a/b' cannot name an endpoint. Use up to 63 letters"):
        store.endpoints.deploy("a/b", version, NOW)
    assert store.endpoints.list() == []


def test_two_processes_that_deploy_at_once_lose_no_revision(store: Store) -> None:
    """Twenty deployments by two processes are twenty revisions."""
    portable.publish(store, portable.classifier())
    script = """
import sys
from datetime import UTC, datetime
from storage import Store
store = Store.open(sys.argv[1])
version = store.models.get("demo")
input("ready\\n")
for _ in range(10):
    print(store.endpoints.deploy("paid", version, datetime.now(UTC)).revision)
"""
    printed = processes.run_at_once(script, store.root)
    assert sorted(int(line) for out in printed for line in out.split()) == list(range(1, 21))
    assert store.endpoints.get("paid").revision == 20

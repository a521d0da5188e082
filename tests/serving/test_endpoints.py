"""What this process serves follows the store."""

from datetime import UTC, datetime
from typing import Any

import pytest

from serving import endpoints as endpoints_module
from serving.endpoints import LiveEndpoints
from serving.errors import NotReadyError, UnknownEndpointError, UnnamedEndpointError
from storage import Store, StoreError
from storage.records import CapturePolicy
from tests.portable import publish, regressor


def refreshed(store: Store) -> LiveEndpoints:
    live = LiveEndpoints(store)
    live.refresh()
    return live


def test_without_a_name_the_only_endpoint_is_meant(store: Store) -> None:
    """With several, the error names them; with none, it tells how to make one."""
    with pytest.raises(UnknownEndpointError, match="autopilot deploy"):
        refreshed(store).find(None)
    publish(store, regressor(), endpoint="a")
    assert refreshed(store).find(None).record.name == "a"
    publish(store, regressor(), endpoint="b")
    with pytest.raises(UnnamedEndpointError, match="/endpoints/a/invocations, /endpoints/b/invocations"):
        refreshed(store).find(None)
    with pytest.raises(UnknownEndpointError, match=r"no endpoint 'c'.*/endpoints/a/invocations"):
        refreshed(store).find("c")


def test_a_request_keeps_the_endpoint_that_it_found(store: Store) -> None:
    """The old version answers to its last request, whatever is deployed meanwhile."""
    publish(store, regressor(), endpoint="demo")
    live = refreshed(store)
    old = live.find("demo")
    publish(store, regressor(shift=1), endpoint="demo")
    live.refresh()
    row = [{"amount": 4, "town": "Ulm", "visits": 2, "seen": None}]
    assert old.predictor.predict_rows(row) == [{"prediction": 1.0}]
    assert live.find("demo").predictor.predict_rows(row) == [{"prediction": 2.0}]


def test_another_revision_of_the_same_version_keeps_the_model(store: Store) -> None:
    """Nothing is loaded twice."""
    version = publish(store, regressor(), endpoint="demo")
    live = refreshed(store)
    old = live.find("demo")
    store.endpoints.deploy("demo", version, datetime.now(UTC), capture=CapturePolicy(share=0.0))
    live.refresh()
    assert live.find("demo").predictor is old.predictor
    assert live.find("demo").capture is None
    assert old.capture is not None


def test_endpoints_that_the_store_no_longer_has_go_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those that it has stay."""
    publish(store, regressor(), endpoint="a")
    publish(store, regressor(), endpoint="b")
    live = refreshed(store)
    records = store.endpoints.list()
    monkeypatch.setattr(store.endpoints, "list", lambda: records[:1])
    live.refresh()
    assert list(live.live) == ["a"]


def test_a_failing_load_is_not_repeated_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once what happened; later it is tried again, since a blob may arrive late."""
    version = publish(store, regressor(), endpoint="demo")
    blob = store.root / "blobs" / version.digest[:2] / version.digest
    model = blob.read_bytes()
    blob.unlink()
    live = refreshed(store)
    live.refresh()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        f"Endpoint 'demo' could not switch to demo:1: Blob {version.digest} is not in the store. "
        "It was deleted from the folder by hand.; nothing serves it."
    ]
    blob.write_bytes(model)
    monkeypatch.setattr(endpoints_module, "monotonic", lambda: float("inf"))
    live.refresh()
    assert list(live.live) == ["demo"]


def test_a_store_that_does_not_answer_makes_the_process_unready_and_goes_on_serving(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ten seconds; the next word from the store heals it."""
    publish(store, regressor(), endpoint="demo")
    live = refreshed(store)
    listed = store.endpoints.list

    def broken() -> Any:
        raise StoreError("The disk is gone.")

    monkeypatch.setattr(store.endpoints, "list", broken)
    live.refresh()
    live.check()
    later = endpoints_module.monotonic() + 11
    monkeypatch.setattr(endpoints_module, "monotonic", lambda: later)
    live.refresh()
    with pytest.raises(NotReadyError, match="has not answered for 11 s"):
        live.check()
    assert live.find("demo").record.name == "demo"
    monkeypatch.setattr(store.endpoints, "list", listed)
    live.refresh()
    live.check()

"""Models come into memory once, as a whole configuration, and leave it when others need the room."""

import asyncio
import gc
import json
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
import pytest
from msgspec.structs import replace

from serving.endpoints import LiveEndpoints, LiveVariant
from serving.errors import UnknownEndpointError, UnloadableError, UnloadedError
from serving.heartbeat import Heartbeat
from serving.loading import memory_of, when_loaded
from storage import Predictor, Store
from storage.records import CapturePolicy, Endpoint, Serving, Variant
from storage.servers import status_of
from storage.vectors import check_vectors
from tests.portable import ROWS, SCORES, classifier, publish, regressor
from tests.records import NOW
from tests.refusals import raises
from tests.serving.conftest import serving


def refreshed(store: Store, *, models: int | None = None) -> LiveEndpoints:
    """The endpoints of a store, with room for so many small models."""
    bytes = None if models is None else models * memory_of(len(regressor())) + 1_000
    live = LiveEndpoints(store, memory_bytes=bytes)
    live.refresh()
    return live


def put(store: Store, *variants: Variant, name: str = "demo", **changes: Any) -> Endpoint:
    return store.endpoints.put(Endpoint(name, variants, 0, NOW, NOW, **changes), NOW)


def lose(store: Store, spec: str) -> Callable[[], object]:
    """Delete a model's file, as by hand; gives what puts it back."""
    digest = store.models.get(spec).digest
    blob = store.blobs.path(digest)
    model = blob.read_bytes()
    blob.unlink()
    return lambda: blob.write_bytes(model)


def loads(live: LiveEndpoints, name: str = "demo") -> tuple[int, int, int]:
    """Loads of an endpoint that succeeded and failed, and how often it made room."""
    counted = live.metrics.loads_of(name)
    return counted.loaded, counted.failed, counted.evicted


# ------------------------------------------------------------------------------------------------ following the store


def test_one_file_is_open_once_whoever_serves_it(store: Store) -> None:
    """Two variants, a shadow, another endpoint, and another version whose file is the same to the byte."""
    publish(store, regressor())
    publish(store, regressor())
    shadow = Variant("next", "demo", 1)
    put(store, Variant("a", "demo", 1), Variant("b", "demo", 2), shadows=(shadow,))
    put(store, Variant("main", "demo", 2), name="other")
    live = refreshed(store)
    found = [live.find("demo", None, "a"), live.find("demo", None, "b"), live.find("other")]
    assert len({id(variant.predictor) for variant in found}) == 1
    assert live.memory == memory_of(len(regressor()))


def test_only_the_variant_that_changed_is_loaded(store: Store) -> None:
    """And nothing where weights, capture or shadows' shares change: also the other's file may be gone."""
    for shift in (0.0, 1.0, 2.0):
        publish(store, regressor(shift))
    put(store, Variant("main", "demo", 1), Variant("new", "demo", 2), shadows=(Variant("s", "demo", 2, 0.1),))
    live = refreshed(store)
    old = live.find("demo", None, "main")
    lose(store, "demo:1")
    lose(store, "demo:2")
    put(store, Variant("main", "demo", 1, 9), Variant("new", "demo", 2), shadows=(Variant("s", "demo", 2, 0.2),))
    live.refresh()
    store.endpoints.put(replace(store.endpoints.get("demo"), capture=CapturePolicy(share=0.0)), NOW)
    live.refresh()
    assert (loads(live), live.find("demo").record.revision) == ((1, 0, 0), 3)
    put(store, Variant("main", "demo", 1, 9), Variant("new", "demo", 3))
    live.refresh()
    assert (loads(live), live.find("demo").record.revision) == ((2, 0, 0), 4)
    assert live.find("demo", None, "main").predictor is old.predictor
    assert live.find("demo", None, "new").predictor.predict_rows(ROWS[:1]) == [{"prediction": SCORES[0] + 2}]


def test_a_configuration_with_a_variant_that_cannot_be_loaded_changes_nothing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even the weights of the others; when the file is there again, all of it is taken over."""
    for shift in (0.0, 1.0):
        publish(store, regressor(shift))
    put(store, Variant("main", "demo", 1))
    live = refreshed(store)
    restore = lose(store, "demo:2")
    put(store, Variant("main", "demo", 1, 0), Variant("new", "demo", 2, 1))
    live.refresh()
    assert live.find("demo", "an id").variant == Variant("main", "demo", 1)
    assert "could not switch to demo:1, demo:2: Blob" in caplog.text
    assert "demo:1 goes on serving" in caplog.text
    told = live.serving["demo"]
    assert (told.revision, told.failed) == (1, 2)
    assert told.reason is not None
    assert "is not in the store" in told.reason
    restore()
    put(store, Variant("main", "demo", 1, 0), Variant("new", "demo", 2, 2))
    live.refresh()
    assert live.find("demo", "an id").variant.name == "new"
    assert live.serving["demo"] == Serving(3)


def test_a_shadow_that_cannot_be_loaded_changes_nothing_either(store: Store) -> None:
    """The whole configuration is one."""
    for shift in (0.0, 1.0):
        publish(store, regressor(shift))
    put(store, Variant("main", "demo", 1))
    live = refreshed(store)
    lose(store, "demo:2")
    put(store, Variant("main", "demo", 1), shadows=(Variant("next", "demo", 2),))
    live.refresh()
    assert live.find("demo").record.revision == 1


def test_an_endpoint_that_never_could_be_loaded_says_why(store: Store) -> None:
    """It is there, so this is no 404; `retry-after` tells when it is tried again."""
    publish(store, regressor(), endpoint="demo")
    lose(store, "demo:1")
    live = refreshed(store)
    with raises(UnloadableError, "Endpoint 'demo' could not be loaded: Blob") as refused:
        live.find("demo")
    assert 5 < refused.value.retry_after_s <= 10
    with pytest.raises(UnknownEndpointError):
        live.find("other")


def test_an_endpoint_that_was_deleted_and_made_again_is_the_new_one(store: Store) -> None:
    """Though both are at revision 1."""
    publish(store, regressor())
    publish(store, regressor(shift=1))
    put(store, Variant("main", "demo", 1))
    live = refreshed(store)
    store.endpoints.delete("demo", NOW)
    put(store, Variant("main", "demo", 2))
    live.refresh()
    assert live.find("demo").variant.spec == "demo:2"


def test_an_endpoint_that_is_slow_to_load_holds_up_no_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of another change meanwhile."""
    publish(store, regressor())
    publish(store, regressor(shift=1))
    put(store, Variant("main", "demo", 1), name="quick")
    live = refreshed(store)
    goes_on = threading.Event()
    read = store.models.read_file

    def slow(version: Any) -> bytes:
        goes_on.wait(10)
        return read(version)

    monkeypatch.setattr(store.models, "read_file", slow)
    put(store, Variant("main", "demo", 2), name="slow")
    put(store, Variant("main", "demo", 1, 5), name="quick")
    refreshing = threading.Thread(target=live.refresh)
    refreshing.start()
    end = time.monotonic() + 60
    while live.find("quick").variant.weight != 5:
        assert time.monotonic() < end
        time.sleep(0.01)
    with pytest.raises(UnloadedError):
        live.find("slow")
    goes_on.set()
    refreshing.join()
    assert live.find("slow").variant.spec == "demo:2"


def test_model_files_are_among_what_is_in_memory(store: Store, tmp_path: Path) -> None:
    """They are told of as endpoints are, but not to the store: it does not have them."""
    publish(store, regressor(), endpoint="demo")
    (tmp_path / "held.onnx").write_bytes(regressor(shift=1))
    live = refreshed(store)
    live.hold("held", tmp_path / "held.onnx")
    assert [variant.record.name for variant in live.variants] == ["demo", "held"]
    assert (live.names, list(live.serving)) == (["demo", "held"], ["demo"])
    live.let_go("held")
    live.refresh()
    assert live.names == ["demo"]


# -------------------------------------------------------------------------------------------------------- test vectors


def with_vectors(model: bytes, expected: list[float]) -> bytes:
    """A regressor with test vectors: the four rows and what it is said to give for them."""
    loaded = onnx.load_model_from_string(model)
    seen = [1_682_899_200_000_000, 1_704_067_200_000_000, -(2**63), 1_767_225_599_500_000]
    vectors = {
        "about": ["a real row"] * 4,
        "inputs": {
            "amount": [4.0, 1.0, "NaN", 9.0],
            "town": ["Ulm", "Bonn", "Rome", ""],
            "visits": [2.0, 0.0, 3.0, "NaN"],
            "seen": [str(value) for value in seen],
        },
        "outputs": {"prediction": expected},
    }
    loaded.metadata_props.add(key="vectors", value=json.dumps(vectors))
    return loaded.SerializeToString()


def test_a_model_that_gives_what_its_vectors_say_is_served(store: Store) -> None:
    """As is one that has none, or of another layout."""
    publish(store, with_vectors(regressor(), list(SCORES)), endpoint="demo")
    assert refreshed(store).find("demo").variant.spec == "demo:1"
    check_vectors(Predictor(regressor()))


def test_a_model_that_does_not_is_not(store: Store) -> None:
    """The one before goes on; the reason names the row."""
    publish(store, with_vectors(regressor(), list(SCORES)), endpoint="demo")
    live = refreshed(store)
    publish(store, with_vectors(regressor(shift=0.5), list(SCORES)), endpoint="demo")
    live.refresh()
    assert live.find("demo").variant.spec == "demo:1"
    reason = live.serving["demo"].reason or ""
    assert "does not give the answers that it gave where it was made" in reason
    assert "row 0 (a real row) differs by 0.0588" in reason  # 0.5 of a range of 8.5


# ---------------------------------------------------------------------------------------------------- a memory budget


@pytest.fixture
def three(store: Store) -> Store:
    """Endpoints a, b and c, each with a model of its own."""
    for shift, name in enumerate("abc"):
        publish(store, regressor(shift), name=name, endpoint=name)
    return store


def asked(live: LiveEndpoints, name: str) -> LiveVariant:
    """The endpoint of a name, as a request gets it that waits."""
    found = asyncio.run(when_loaded(lambda: live.find(name)))
    found.metrics.answer(1, (0.0, 0.0, 0.0, 0.0, 0.0), time.time())
    return found


def test_what_exceeds_the_budget_is_loaded_when_it_is_asked_for(three: Store) -> None:
    """And the one that was not asked for longest makes room; each is counted."""
    live = refreshed(three, models=2)
    assert sorted(live.live) == ["a", "b"]
    assert live.names == ["a", "b", "c"]
    assert live.record("c").name == "c"
    asked(live, "a")
    assert asked(live, "c").predictor.predict_rows(ROWS[:1]) == [{"prediction": SCORES[0] + 2}]
    assert sorted(live.live) == ["a", "c"]
    asked(live, "b")
    assert sorted(live.live) == ["b", "c"]
    assert [loads(live, name) for name in "abc"] == [(1, 0, 1), (2, 0, 1), (1, 0, 0)]
    assert live.memory == 2 * memory_of(len(regressor()))
    assert live.serving == {name: Serving(1) for name in "abc"}


def test_a_model_that_made_room_is_gone_from_memory(three: Store) -> None:
    """As soon as the last request that holds it is answered."""
    live = refreshed(three, models=1)
    held = asked(live, "a")
    gone = weakref.ref(held.predictor)
    asked(live, "b")
    assert held.predictor.predict_rows(ROWS[:1]) == [{"prediction": SCORES[0]}]
    del held
    gc.collect()
    assert gone() is None


def test_first_requests_at_once_load_once(three: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """All wait for the one."""
    live = refreshed(three, models=1)
    read, reads = three.models.read_file, []

    def counted(version: Any) -> bytes:
        reads.append(version.name)
        return read(version)

    monkeypatch.setattr(three.models, "read_file", counted)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: asked(live, "b").predictor, range(8)))
    assert len({id(predictor) for predictor in found}) == 1
    assert reads == ["b"]


def test_who_does_not_wait_is_told_to_ask_again(three: Store) -> None:
    """A client that goes away stops nothing: the next finds it loaded."""
    live = refreshed(three, models=1)
    with raises(UnloadedError, "The models of endpoint 'b' are being loaded.") as refused:
        live.find("b")

    async def leaves() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(when_loaded(lambda: live.find("b")), 0)

    asyncio.run(leaves())
    refused.value.loading.result(10)
    assert live.find("b").variant.spec == "b:1"


def test_a_first_request_that_cannot_be_loaded_is_told_why(three: Store) -> None:
    """It is not tried again at once; others go on."""
    live = refreshed(three, models=1)
    lose(three, "b:1")
    for _ in range(2):
        with raises(UnloadableError, "Endpoint 'b' could not be loaded: Blob"):
            asked(live, "b")
    assert loads(live, "b") == (0, 1, 0)
    assert live.serving["b"].revision == 0
    assert live.serving["b"].failed == 1
    assert asked(live, "c").variant.spec == "c:1"


def test_an_endpoint_that_is_not_in_memory_is_the_newest_when_it_comes(three: Store) -> None:
    """What it was before is never loaded; and what is deleted is not found."""
    live = refreshed(three, models=1)
    publish(three, regressor(shift=7), name="b", endpoint="b")
    live.refresh()
    assert loads(live, "b") == (0, 0, 0)
    assert asked(live, "b").variant.spec == "b:2"
    three.endpoints.delete("c", NOW)
    live.refresh()
    with pytest.raises(UnknownEndpointError):
        asked(live, "c")


def test_a_model_larger_than_the_budget_is_served_alone(three: Store) -> None:
    """Refusing it would help nobody."""
    live = LiveEndpoints(three, memory_bytes=1_000)
    live.refresh()
    assert sorted(live.live) == []
    for name in "abca":
        assert asked(live, name).record.name == name
        assert sorted(live.live) == [name]


def test_a_server_with_a_budget_answers_for_all(three: Store) -> None:
    """By a protocol that waits; the metrics tell who made room."""
    with serving(three, environ={"AUTOPILOT_MODEL_MEMORY_MB": "5"}) as server:
        for name in "abc" * 2:
            reply = server.client.post(f"/v1/models/{name}:predict", json={"instances": ROWS})
            assert reply.json() == {"predictions": [score + "abc".index(name) for score in SCORES]}
        assert server.client.get("/v2/models").json() == {"models": ["a", "b", "c"]}
        metrics = server.client.get("/metrics").text
        assert 'autopilot_model_evictions_total{endpoint="a"} 2.0' in metrics
        assert 'autopilot_model_loads_total{endpoint="a"} 2.0' in metrics


def test_invocations_wait_for_what_is_not_in_memory(three: Store) -> None:
    """Requests of one connection, and at once of several; nobody is told to ask again."""
    with serving(three, environ={"AUTOPILOT_MODEL_MEMORY_MB": "5"}) as server, ThreadPoolExecutor(6) as pool:

        def ask(name: str) -> object:
            reply = server.client.post(f"/endpoints/{name}/invocations", json=ROWS[0])
            return reply.json()

        def wanted(name: str) -> object:
            return {"predictions": [{"value": SCORES[0] + "abc".index(name)}]}

        assert [ask(name) for name in "abcabc"] == [wanted(name) for name in "abcabc"]
        assert list(pool.map(ask, "abc" * 10)) == [wanted(name) for name in "abc" * 10]


# ------------------------------------------------------------------------------------------------------- what is told


def test_without_a_gpu_the_endpoint_runs_on_the_cpu_and_says_so(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Once in the log, and in the status as long as it is so."""
    publish(store, classifier())
    put(store, Variant("main", "demo", 1), provider="cuda")
    live = refreshed(store)
    found = live.find("demo")
    if found.predictor.provider == "cuda":
        pytest.skip("This machine has a GPU, and an onnxruntime that uses it.")
    store.endpoints.set_weights("demo", {"main": 2}, NOW)
    live.refresh()
    note = "Asked to run on cuda, which onnxruntime does not have here: runs on the CPU."
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        f"Endpoint 'demo', variant 'main': {note}"
    ]
    assert live.serving == {"demo": Serving(2, notes=(note,))}
    assert found.predictor.predict_rows(ROWS[:1])[0]["label"] == "yes"


def test_a_server_tells_the_store_what_it_serves_until_it_ends(store: Store) -> None:
    """Each process has an id of its own, and what it could not load has its reason."""
    publish(store, regressor(), endpoint="demo")
    endpoint = store.endpoints.get("demo")
    with LiveEndpoints(store) as live, Heartbeat(store, live) as one, Heartbeat(store, live) as other:
        assert one.id != other.id
        now = datetime.now(UTC)
        assert status_of(endpoint, store.servers.list(now)).state == "InService"
        assert {found.id for found in store.servers.list(now)} == {one.id, other.id}
        publish(store, regressor(shift=1))
        lose(store, "demo:2")
        changed = store.endpoints.deploy("demo", store.models.get("demo:2"), NOW)
        assert status_of(changed, store.servers.list(now)).state == "Updating"
        end = time.monotonic() + 60
        while status_of(changed, store.servers.list(datetime.now(UTC))).state != "Failed":
            assert time.monotonic() < end
            time.sleep(0.05)
    assert store.servers.list(datetime.now(UTC)) == []


def test_a_server_process_is_in_the_store_as_long_as_it_runs(store: Store) -> None:
    """Killed, it is there for ten more seconds; told to end, it says so."""
    publish(store, regressor(), endpoint="demo")
    with serving(store) as server:
        (found,) = store.servers.list(datetime.now(UTC))
        assert (found.pid, found.serving, found.url) == (server.process.pid, {"demo": Serving(1)}, server.url)
        assert server.stop() == 0
    assert store.servers.list(datetime.now(UTC)) == []

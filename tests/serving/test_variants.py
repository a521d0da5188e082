"""Which variant of an endpoint answers."""

import gzip
import re
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from serving import endpoints, loading, shadows
from serving.endpoints import LiveEndpoints, LiveVariant
from serving.errors import UnknownVariantError
from serving.loading import Model
from serving.routes import Route, place_of
from storage import Predictor, Store
from storage.records import Endpoint, EndpointLimits, Variant
from tests.portable import ROWS, publish, regressor
from tests.records import NOW
from tests.refusals import raises
from tests.serving.conftest import ROOT, ServerProcess, serving

GUIDE = (ROOT / "docs" / "endpoints.md").read_text()

IDS = [f"6f1e0a-{number}" for number in range(4_000)]
WEIGHTS = st.floats(0, 1e6).filter(lambda weight: weight == 0 or weight > 1e-6)

PREDICTOR = Predictor(regressor())
MODEL = Model(PREDICTOR)


def route_of(weights: Mapping[str, float]) -> Route:
    """An endpoint whose variants have these weights; all have one model."""
    variants = tuple(Variant(name, "m", 1, weight) for name, weight in weights.items())
    record = Endpoint("demo", variants, 1, NOW, NOW)
    return Route(record, [LiveVariant(record, PREDICTOR, variant=variant, model=MODEL) for variant in variants])


def drawn(weights: Mapping[str, float]) -> dict[str, str]:
    """Which variant each id is answered by."""
    route = route_of(weights)
    return {id: route.choose(id, None).variant.name for id in IDS}


def endpoint(store: Store, *, main: float = 1.0, new: float = 0.0, **changes: Any) -> Endpoint:
    """`demo` with demo:1 as `main` and demo:2, which predicts 1 more, as `new`."""
    variants = (Variant("main", "demo", 1, main), Variant("new", "demo", 2, new))
    return store.endpoints.put(Endpoint("demo", variants, 0, NOW, NOW, **changes), NOW)


@pytest.fixture
def two(store: Store) -> Store:
    """A store with the two versions."""
    for shift in (0.0, 1.0):
        publish(store, regressor(shift))
    return store


def test_each_variant_gets_its_share() -> None:
    """Of ids in a row, as servers make them up; four standard deviations of 4,000 are 3 %."""
    counts = Counter(drawn({"a": 90, "b": 9, "c": 1}).values())
    assert abs(counts["a"] / len(IDS) - 0.90) < 0.03
    assert abs(counts["b"] / len(IDS) - 0.09) < 0.03
    assert 0 < counts["c"] < 120


@given(st.tuples(WEIGHTS, WEIGHTS).filter(any), st.tuples(WEIGHTS, WEIGHTS).filter(any))
def test_of_two_variants_only_as_many_ids_move_as_the_shares_differ(
    before: tuple[float, float], after: tuple[float, float]
) -> None:
    """All from the one to the other, never across."""
    old, new = (drawn({"a": a, "b": b}) for a, b in (before, after))
    moved = {(old[id], new[id]) for id in IDS if old[id] != new[id]}
    assert len(moved) <= 1
    shares = [a / (a + b) for a, b in (before, after)]
    assert moved <= ({("a", "b")} if shares[0] > shares[1] else {("b", "a")})
    assert [old[id] == "a" for id in IDS] == [place_of(id) < shares[0] for id in IDS]


@given(st.text(max_size=64))
def test_an_id_has_one_place(inference_id: str) -> None:
    """Between 0 and 1, and another for another purpose."""
    assert 0 <= place_of(inference_id) < 1
    assert place_of(inference_id) == place_of(inference_id)
    assert place_of(inference_id) != place_of(inference_id, b"else")


def test_places_of_two_purposes_tell_nothing_of_each_other() -> None:
    """Of the ids of a tenth, a tenth is in the tenth of another purpose."""
    tenth = [id for id in IDS if place_of(id) < 0.1]
    both = sum(place_of(id, b"else") < 0.1 for id in tenth)
    assert 0.03 < both / len(tenth) < 0.2


def test_a_variant_of_weight_0_answers_only_who_names_it() -> None:
    """Wherever it stands among the others."""
    route = route_of({"a": 0, "b": 1, "c": 0})
    assert set(drawn({"a": 0, "b": 1, "c": 0}).values()) == {"b"}
    assert [route.choose(IDS[0], name).variant.name for name in "abc"] == ["a", "b", "c"]
    assert route.choose(None, None).variant.name == "b"


def test_an_unknown_variant_is_refused_with_those_that_there_are() -> None:
    """What SageMaker calls the only one is known where there is one."""
    with raises(UnknownVariantError, "Target-Variant is 'd'. Endpoint 'demo' has the variants: a, b. Name one"):
        route_of({"a": 1, "b": 1}).choose(IDS[0], "d")
    with raises(UnknownVariantError, "has the variants: a, b. Name one"):
        route_of({"a": 1, "b": 1}).choose(IDS[0], "AllTraffic")
    assert route_of({"a": 1}).choose(IDS[0], "AllTraffic").variant.name == "a"


def test_counts_are_by_variant(two: Store) -> None:
    """Two variants of one version are two, as in a comparison of a version with itself."""
    variants = (Variant("a", "demo", 1), Variant("b", "demo", 1))
    two.endpoints.put(Endpoint("demo", variants, 0, NOW, NOW), NOW)
    live = LiveEndpoints(two)
    live.refresh()
    a, b = (live.find("demo", None, name) for name in "ab")
    assert a.metrics is not b.metrics
    assert [key.variant for key in live.metrics.endpoints] == ["a", "b"]
    assert a.predictor is b.predictor


def test_limits_of_an_endpoint_hold_in_each_way_of_answering(two: Store) -> None:
    """Few rows and many, packed and not, by any protocol, and in pieces."""
    endpoint(two, limits=EndpointLimits(max_body_bytes=1_000, max_rows=2))
    with serving(two) as server:

        def ask(body: bytes, path: str = "/endpoints/demo/invocations", **headers: str) -> tuple[int, str]:
            sent = {"content-type": "text/csv", **headers}
            reply = server.client.post(path, content=body, headers=sent)
            return reply.status_code, reply.text

        row = b"4,Ulm,2,\n"
        assert ask(2 * row)[0] == 200
        status, told = ask(3 * row)
        assert (status, "3 rows; 2 are answered at once" in told, "max_rows of endpoint 'demo'" in told) == (
            413,
            True,
            True,
        )
        assert ask(60 * row)[0] == 413
        assert ask(3 * row, "/endpoints/demo/invocations-response-stream")[0] == 413
        assert ask(gzip.compress(3 * row), **{"content-encoding": "gzip"})[0] == 413
        long = b'{"instances": [{"amount": 4, "town": "%s", "visits": 2, "seen": null}]}' % (b"x" * 1_000)
        json = {"content-type": "application/json"}
        status, told = ask(long, **json)
        assert (status, "longer than 1000 bytes, which endpoint 'demo' takes at most" in told) == (413, True)
        assert ask(long, "/v1/models/demo:predict", **json)[0] == 413
        assert ask(gzip.compress(long), **{"content-encoding": "gzip"}, **json)[0] == 413
        assert ask(row)[0] == 200


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server whose `demo` has two variants that get half of the requests each."""
    store = Store.open(tmp_path_factory.mktemp("two") / "store")
    for shift in (0.0, 1.0):
        publish(store, regressor(shift))
    endpoint(store, main=1, new=1)
    with serving(store) as server:
        yield server
    store.close()


def ids_of(name: str) -> list[str]:
    """Some ids that a variant answers where both weigh alike."""
    wanted = (0.0, 0.5) if name == "main" else (0.5, 1.0)
    return [id for id in IDS if wanted[0] <= place_of(id) < wanted[1]][:20]


ASKED: dict[str, tuple[str, Any]] = {
    "sagemaker": ("/endpoints/demo/invocations", ROWS[0]),
    "without a name": ("/invocations", ROWS[0]),
    "mlflow": ("/endpoints/demo/invocations", {"dataframe_records": [ROWS[0]]}),
    "tf": ("/v1/models/demo:predict", {"instances": [ROWS[0]]}),
    "v2": (
        "/v2/models/demo/infer",
        {
            "inputs": [
                {"name": name, "shape": [1, 1], "datatype": datatype, "data": [value]}
                for name, datatype, value in (
                    ("amount", "FP64", 4.0),
                    ("town", "BYTES", "Ulm"),
                    ("visits", "FP64", 2.0),
                    ("seen", "INT64", 0),
                )
            ]
        },
    ),
}


@pytest.mark.parametrize("protocol", ASKED)
@pytest.mark.parametrize("name", ["main", "new"])
def test_the_same_id_gets_the_same_variant_in_each_protocol(running: ServerProcess, protocol: str, name: str) -> None:
    """The answer tells by its value which one it was: 1 or 2."""
    path, body = ASKED[protocol]
    for inference_id in ids_of(name):
        reply = running.client.post(path, json=body, headers={"x-amzn-sagemaker-inference-id": inference_id})
        assert reply.status_code == 200, reply.text
        assert ("2.0" if name == "new" else "1.0") in reply.text, reply.text
        if protocol != "v2":
            assert reply.headers["x-amzn-invoked-production-variant"] == name
            assert reply.headers["x-autopilot-model"] == ("demo:2" if name == "new" else "demo:1")


def test_without_an_id_both_variants_answer(running: ServerProcess) -> None:
    """By chance: of 200, fewer than 60 of one would be a miracle."""
    replies = [running.client.post("/endpoints/demo/invocations", json=ROWS[0]) for _ in range(200)]
    counts = Counter(reply.headers["x-amzn-invoked-production-variant"] for reply in replies)
    assert min(counts["main"], counts["new"]) > 60


def test_the_header_names_the_variant(running: ServerProcess) -> None:
    """And one that there is not is a validation error, in the SDKs' words."""
    for name in ("main", "new"):
        headers = {"x-amzn-sagemaker-target-variant": name}
        reply = running.client.post("/endpoints/demo/invocations", json=ROWS[0], headers=headers)
        assert reply.headers["x-amzn-invoked-production-variant"] == name
    headers = {"x-amzn-sagemaker-target-variant": "third"}
    reply = running.client.post("/endpoints/demo/invocations", json=ROWS[0], headers=headers)
    assert (reply.status_code, reply.headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert reply.json()["type"] == "urn:autopilot:unknown-variant"
    assert "'demo' has the variants: main, new." in reply.json()["Message"]


def test_a_version_in_the_path_is_answered_by_the_variant_that_has_it(running: ServerProcess) -> None:
    """As clients of Triton and TensorFlow Serving ask for one."""
    for version, value in (("1", "1.0"), ("2", "2.0")):
        path, body = ASKED["v2"]
        reply = running.client.post(path.replace("/infer", f"/versions/{version}/infer"), json=body)
        assert value in reply.text
        assert f'"model_version":"{version}"' in reply.text
        path, body = ASKED["tf"]
        reply = running.client.post(path.replace(":predict", f"/versions/{version}:predict"), json=body)
        assert value in reply.text
    assert running.client.get("/v2/models/demo/versions/3").status_code == 404
    assert running.client.get("/v1/models/demo/versions/3").status_code == 404


def test_weights_are_followed_within_a_second_and_nothing_is_loaded(two: Store) -> None:
    """The metric tells the revision, and that one load was all."""
    endpoint(two)
    with serving(two) as server:
        two.endpoints.set_weights("demo", {"main": 0, "new": 1}, NOW)
        end = time.monotonic() + 60
        while server.client.post("/invocations", json=ROWS[0]).headers["x-autopilot-model"] != "demo:2":
            assert time.monotonic() < end, "the new weights were not followed"
        metrics = server.client.get("/metrics").text
        assert 'autopilot_endpoint_revision{endpoint="demo"} 2.0' in metrics
        assert 'autopilot_model_loads_total{endpoint="demo"} 1.0' in metrics


def test_a_revision_that_changes_nothing_of_a_model_keeps_its_counts(two: Store) -> None:
    """The record is the new one, the counts go on."""
    endpoint(two)
    live = LiveEndpoints(two)
    live.refresh()
    old = live.find("demo")
    made = two.endpoints.put(replace(two.endpoints.get("demo"), limits=EndpointLimits(max_rows=9)), NOW)
    live.refresh()
    new = live.find("demo")
    assert (new.record, old.record.revision) == (made, 1)
    assert (new.predictor, new.metrics, new.drain) == (old.predictor, old.metrics, old.drain)


def test_the_guides_python_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a store that has three versions."""
    monkeypatch.chdir(tmp_path)
    with closing(Store.open("autopilot-store")) as store:
        for shift in (0.0, 1.0, 2.0):
            publish(store, regressor(shift), name="price")
    (block,) = re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 - our own guide
    names["store"].close()
    assert capsys.readouterr().out.splitlines() == re.findall("^# (.+)", block, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "told",
    [
        f"at most {shadows._MOST_WAITING} requests waiting",
        f"counted as {loading._FIXED_BYTES // 1_000_000} MB and {loading._BYTES_PER_BYTE} times its file",
        f"again every {('ten',)[endpoints._RETRY_S != 10]} seconds",
    ],
)
def test_the_guides_figures_are_those_of_the_code(told: str) -> None:
    """To the letter."""
    assert told in GUIDE

"""Shadows see what others answer, and nobody sees theirs."""

import threading
import time
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from serving import shadows as shadows_module
from serving.endpoints import Answered, LiveEndpoints
from serving.routes import place_of
from serving.shadows import Columns, compare
from storage import Column, InputError, Predictor, Signature, Store
from storage.boundary import Blocks, blocks_of_rows
from storage.predictor import Outputs
from storage.records import Endpoint, Variant
from storage.shadows import ShadowReport, ShadowTally, shadow_reports
from tests.portable import COLUMNS, PROBABILITIES, ROWS, classifier, publish, regressor
from tests.records import NOW
from tests.refusals import raises
from tests.serving.conftest import serving

TIMES = (0.0, 0.0, 0.0, 0.004, 0.004)  # a run of 4 ms


def shadowed(store: Store, *models: bytes, share: float = 1.0) -> LiveEndpoints:
    """`demo` with the first model, and the others as its shadows s2, s3, ..."""
    for model in models:
        publish(store, model)
    shadows = tuple(Variant(f"s{number}", "demo", number, share) for number in range(2, len(models) + 1))
    store.endpoints.put(Endpoint("demo", (Variant("main", "demo", 1),), 0, NOW, NOW, shadows=shadows), NOW)
    live = LiveEndpoints(store)
    live.refresh()
    return live


def answer(live: LiveEndpoints, inference_id: str = "an id", rows: int = 4) -> None:
    """Answer the first rows as the engine does."""
    variant = live.find("demo", inference_id)
    blocks = variant.formats.rows["json"].decode(_json(rows))
    for watch in variant.watchers:
        watch(Answered(inference_id, blocks, variant.predictor.run(blocks), TIMES))


def _json(rows: int) -> bytes:
    return msgspec.json.encode(ROWS[:rows])


def tally_of(live: LiveEndpoints, shadow: str = "s2", *, events: int) -> ShadowTally:
    """What was counted of a shadow, once so many requests were run, skipped or failed."""
    end = time.monotonic() + 60
    while True:
        counted = ShadowTally("", "")
        for key, tally in live.shadows.tallies.items():
            if key.shadow == shadow:
                counted.merge(tally)
        if counted.requests + counted.skipped + counted.failed >= events:
            return counted
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_shadow_is_compared_row_by_row(store: Store) -> None:
    """The labels that agree, the probabilities, and the time of both runs."""
    live = shadowed(store, classifier(), classifier(shift=-0.75))
    for _ in range(2):
        answer(live)
    tally = tally_of(live, events=2)
    apart = [abs(p - q) for p, q in zip(PROBABILITIES, _shifted(-0.75), strict=True)]
    assert (tally.requests, tally.rows, tally.agreed, tally.differences) == (2, 8, 6, 8)  # 0.5 - 0.75 is another label
    assert tally.difference_sum == pytest.approx(2 * sum(apart), abs=1e-6)
    assert tally.difference_max == pytest.approx(max(apart), abs=1e-6)
    assert tally.production.total_s == pytest.approx(0.008)
    assert tally.shadow.count == 2
    assert tally.shadow.total_s > 0


def _shifted(shift: float) -> list[float]:
    logits = np.log(np.array(PROBABILITIES) / (1 - np.array(PROBABILITIES))) + shift
    return (1 / (1 + np.exp(-logits))).tolist()


def test_values_are_compared_by_their_difference(store: Store) -> None:
    """A regression has no labels to agree."""
    live = shadowed(store, regressor(), regressor(shift=0.25), regressor())
    answer(live, rows=3)
    tally = tally_of(live, "s2", events=1)
    assert (tally.difference_sum, tally.difference_max) == (0.75, 0.25)
    assert tally_of(live, "s3", events=1).difference_max == 0


def test_a_shadow_sees_its_share_of_ids(store: Store) -> None:
    """Always the same, and others than the variants' weights would give it."""
    live = shadowed(store, regressor(), regressor(), share=0.3)
    ids = [f"id-{number}" for number in range(200)]
    wanted = [id for id in ids if place_of(id, b"shs2") < 0.3]
    for id in ids:
        answer(live, id, rows=1)
    assert 30 < len(wanted) < 90
    assert tally_of(live, events=len(wanted)).requests == len(wanted)
    store.endpoints.put(replace(store.endpoints.get("demo"), shadows=(Variant("s2", "demo", 2, 0.0),)), NOW)
    live.refresh()
    assert live.find("demo").watchers == ()


def test_what_exceeds_the_queue_is_skipped_and_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Telling a shadow never waits for it."""
    live = shadowed(store, regressor(), regressor())
    begun, goes_on = threading.Event(), threading.Event()

    def hangs(*_: Any) -> Outputs:
        begun.set()
        goes_on.wait(10)
        raise RuntimeError("The shadow fell over.")

    (route,) = {id(route): route for route in live._loaded().values()}.values()
    monkeypatch.setattr(route.shadows["s2"].predictor, "run", hangs)
    (watch,) = live.find("demo").watchers
    blocks = live.find("demo").formats.rows["json"].decode(_json(1))
    outputs = Outputs(None, None, np.zeros(1))
    told = Answered("an id", blocks, outputs, TIMES)
    watch(told)
    assert begun.wait(10)
    most = shadows_module._MOST_WAITING
    for _ in range(most + 5):
        watch(told)
    goes_on.set()
    tally = tally_of(live, events=most + 6)
    assert (tally.requests, tally.skipped, tally.failed) == (0, 5, most + 1)
    assert tally.error == "RuntimeError: The shadow fell over."


def test_many_cells_that_wait_are_too_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One large request is run all the same."""
    live = shadowed(store, regressor(), regressor())
    monkeypatch.setattr(shadows_module, "_MOST_CELLS", 10)
    for _ in range(3):
        answer(live)
        tally_of(live, events=_ + 1)
    assert tally_of(live, events=3).requests == 3


def test_counts_are_told_when_there_is_something_new(store: Store) -> None:
    """Under the revision; those of an earlier one are forgotten when they were told."""
    live = shadowed(store, regressor(), regressor(shift=1))
    assert list(live.shadows.news("a", NOW)) == []
    answer(live)
    tally_of(live, events=1)
    (told,) = live.shadows.news("a", NOW)
    assert (told.subject, told.server_id, told.variant) == ("shadow:demo:1", "a", "s2")
    assert list(live.shadows.news("a", NOW)) == []
    answer(live)
    tally_of(live, events=2)
    store.endpoints.set_weights("demo", {"main": 2}, NOW)
    live.refresh()
    live.forget_counts()
    assert [tally.subject for tally in live.shadows.news("a", NOW)] == ["shadow:demo:1"]
    live.forget_counts()
    assert {key.subject for key in live.shadows.tallies} == {"shadow:demo:2"}


def report_of(store: Store, *, requests: int) -> ShadowReport:
    """What the store knows of the shadow of `demo`, once it knows of so many requests."""
    end = time.monotonic() + 60
    while True:
        reports = shadow_reports(store, store.endpoints.get("demo"))
        if reports and reports[0].requests >= requests:
            return reports[0]
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_a_server_tells_the_store_how_its_shadow_does(store: Store) -> None:
    """Whatever protocol asked; what it counted stays when it has ended."""
    shadowed(store, classifier(), classifier(shift=-0.75))
    with serving(store) as server:
        for _ in range(5):
            reply = server.client.post("/endpoints/demo/invocations", json=ROWS)
            assert reply.headers["x-autopilot-model"] == "demo:1"
        server.client.post("/v1/models/demo:predict", json={"instances": ROWS})
        assert report_of(store, requests=6).agreement == 0.75
        labels = '{against="demo:1",endpoint="demo",model="demo:2",shadow="s2"}'
        metrics = server.client.get("/metrics").text
        assert f"autopilot_shadow_rows_total{labels} 24.0" in metrics
        assert f"autopilot_shadow_agreed_rows_total{labels} 18.0" in metrics
        server.client.post("/endpoints/demo/invocations", json=ROWS)
        time.sleep(0.2)
        assert server.stop() == 0
    report = report_of(store, requests=7)
    assert (report.model, report.against, report.rows) == ("demo:2", "demo:1", 28)
    assert report.shadow_latency is not None
    assert report.production_latency is not None


@given(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1), st.data())
def test_columns_are_picked_by_name(names: list[str], data: st.DataObject) -> None:
    """From each block, in the shadow's order."""
    kinds = dict(zip("abcdef", ("number", "category", "time", "number", "text", "number"), strict=True))

    def signature(columns: list[str]) -> Signature:
        return Signature("regression", "y", tuple(Column(name, kinds[name], "any") for name in columns))  # pyright: ignore[reportArgumentType]

    wanted = data.draw(st.permutations(names).map(lambda order: order[: data.draw(st.integers(1, len(order)))]))
    there, shadow = signature(names), signature(wanted)
    picked = Columns(there, shadow).pick(_named_cells(there))
    assert [block.tolist() for block in picked] == [block.tolist() for block in _named_cells(shadow)]


def _named_cells(signature: Signature) -> Blocks:
    """Two rows whose cells tell their column."""
    number, text, time = (
        [[f"{name}{row}" for name in signature.block(block)] for row in range(2)]
        for block in ("number", "text", "time")
    )
    codes = [[[int.from_bytes(cell.encode()) for cell in row] for row in block] for block in (number, time)]
    return Blocks(
        np.array(codes[0], np.float64).reshape(2, -1),
        np.array(text, object).reshape(2, -1),
        np.array(codes[1], np.int64).reshape(2, -1),
    )


def test_a_shadow_that_needs_what_the_variants_do_not_take_is_refused(store: Store) -> None:
    """A column that one of them lacks, or takes as another kind; the endpoint stays as it is."""
    version = publish(store, regressor(), endpoint="demo")
    zip_code = Column("zip", "category", "String")
    wider = store.models.publish(replace(version, signature=replace(version.signature, columns=(*COLUMNS, zip_code))))
    other = store.models.publish(
        replace(version, signature=replace(version.signature, columns=(replace(COLUMNS[0], kind="text"),)))
    )
    for spec, told in (
        (wider, "column 'zip' as category, and variant 'main' does not take it."),
        (other, "as number."),
    ):
        shadow = Variant("next", spec.name, spec.version)
        with raises(InputError, told):
            store.endpoints.put(replace(store.endpoints.get("demo"), shadows=(shadow,)), NOW)
    assert store.endpoints.get("demo").revision == 1


def test_what_is_no_number_has_no_difference() -> None:
    """It spoils no mean."""
    one, other = (Outputs(None, None, np.array(values)) for values in ([1.0, np.nan, np.inf], [1.5, 2.0, np.inf]))
    found = compare(one, other)
    assert (found.differences, found.difference_sum, found.difference_max) == (1, 0.5, 0.5)


def test_a_model_beside_itself_differs_in_nothing() -> None:
    """To the bit."""
    predictor = Predictor(classifier())
    blocks = Columns(predictor.signature, predictor.signature).pick(_blocks(predictor))
    found = compare(predictor.run(blocks), predictor.run(blocks))
    assert (found.agreed, found.difference_max) == (4, 0.0)


def _blocks(predictor: Predictor) -> Blocks:
    return blocks_of_rows(predictor.signature, ROWS)

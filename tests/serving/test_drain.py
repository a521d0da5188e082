"""Requests that arrive together are answered as if each had come alone."""

import asyncio

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from serving import drain as drain_module
from serving.drain import Drain, Ran, is_steady
from serving.likely_rows import likely_rows
from serving.metrics import EndpointMetrics
from storage import Predictor
from storage.boundary import MISSING_TIME, Blocks
from tests.portable import REGRESSOR, classifier, regressor


def compared_with_the_largest() -> bytes:
    """The regressor, minus the largest prediction of the same run: a model that company changes."""
    model = onnx.load_model_from_string(regressor())
    last = model.graph.node[-1]
    last.CopyFrom(helper.make_node("Sub", ["score", "largest"], ["prediction"]))
    axes = numpy_helper.from_array(np.array([0], np.int64), "axes")
    model.graph.node.insert(len(model.graph.node) - 1, helper.make_node("ReduceMax", ["score", "axes"], ["largest"]))
    model.graph.initializer.append(axes)
    return model.SerializeToString()


def drain(model: bytes) -> tuple[Drain, EndpointMetrics]:
    metrics = EndpointMetrics("demo", "m", 1)
    return Drain(Predictor(model), metrics, steady=True, most_rows=256), metrics


def test_a_model_that_company_changes_is_found_out() -> None:
    """Before it is served."""
    rows = likely_rows(REGRESSOR, 50)
    assert is_steady(Predictor(regressor()), rows)
    assert is_steady(Predictor(classifier()), rows)
    assert not is_steady(Predictor(compared_with_the_largest()), rows)


@pytest.mark.parametrize("model", [regressor(), classifier()])
@pytest.mark.parametrize("requests", [1, 2, 5, 40])
def test_each_request_gets_its_own_rows(model: bytes, requests: int) -> None:
    """In one run where they arrive in one turn of the event loop, however many rows each has."""
    together, metrics = drain(model)
    asked = [likely_rows(REGRESSOR, 1 + seed % 3, seed) for seed in range(requests)]

    async def ask() -> list[object]:
        return [ran.outputs for ran in await asyncio.gather(*(together.run(blocks) for blocks in asked))]

    for blocks, outputs in zip(asked, asyncio.run(ask()), strict=True):
        alone = together.run_now(blocks).outputs
        for one, other in zip(alone, outputs, strict=True):  # type: ignore[call-overload]
            np.testing.assert_array_equal(one, other)
    assert metrics.batch.counts[0] <= 1 + requests
    assert metrics.runs == 1 + requests


def test_a_crowd_is_run_in_several_pieces() -> None:
    """A run of thousands of rows would hold up the event loop."""
    together, metrics = drain(regressor())

    async def ask() -> None:
        await asyncio.gather(*(together.run(likely_rows(REGRESSOR, 50, seed)) for seed in range(12)))

    asyncio.run(ask())
    assert metrics.runs == 3  # 256 rows at most: 5, 5 and 2 requests


def test_what_the_model_raises_is_raised_for_each() -> None:
    """None waits for ever."""
    together, _ = drain(regressor())
    wrong = Blocks(np.zeros((1, 9)), np.full((1, 1), "", dtype=object), np.full((1, 1), MISSING_TIME))

    async def ask() -> list[object]:
        return await asyncio.gather(together.run(wrong), together.run(wrong), return_exceptions=True)

    first, second = asyncio.run(ask())
    assert isinstance(first, Exception)
    assert first is second


def test_a_request_that_was_given_up_is_not_run() -> None:
    """And the others are."""
    together, metrics = drain(regressor())
    rows = likely_rows(REGRESSOR, 1)

    async def ask() -> None:
        given_up, kept = together.run(rows), together.run(rows)
        given_up.cancel()
        await kept

    asyncio.run(ask())
    assert metrics.batch.total == 1


def test_what_cannot_be_packed_for_capture_is_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And each answer is left to be captured alone."""

    def broken(_: Blocks) -> bytes:
        raise ZeroDivisionError

    together, _ = drain(regressor())
    asked = [likely_rows(REGRESSOR, 1, seed) for seed in range(2)]
    (packed,) = together.runs(asked, packs=True)
    monkeypatch.setattr(drain_module, "packed_inputs", broken)
    (rans,) = together.runs(asked, packs=True)
    for one, other in zip(packed, rans, strict=True):
        assert isinstance(one, Ran)
        assert isinstance(other, Ran)
        assert (one.together is None, other.together) == (False, None)
        np.testing.assert_array_equal(one.outputs.prediction, other.outputs.prediction)
    assert "ZeroDivisionError" in caplog.text

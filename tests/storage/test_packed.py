"""The packed sister of a portable file is a valid model with the same answers; damaged bytes are told from models."""

import io
from contextlib import suppress

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autopilot import Result
from storage import ModelFileError, Predictor, Signature
from storage.boundary import Blocks, blocks_of_frame, blocks_of_rows
from storage.packed import pack, read_extra, read_metadata
from storage.signature import BLOCKS
from tests import portable
from tests.refusals import raises

CLASSIFIER = portable.classifier()


def widths_of(signature: Signature) -> dict[str, int]:
    """Columns in each block."""
    return {block: len(signature.block(block)) for block in BLOCKS}


def answers(model: bytes, feeds: dict[str, object]) -> list[list[object]]:
    """All outputs of a session that knows nothing of us; float32 as Python's floats are exact."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return [np.asarray(output).tolist() for output in session.run(None, feeds)]


def packed_feeds(blocks: Blocks) -> dict[str, object]:
    """The three inputs of a sister."""
    return {"/number": blocks.number, "/text": blocks.text, "/time": blocks.time}


def portable_feeds(signature: Signature, blocks: Blocks) -> dict[str, object]:
    """One input for each column."""
    return {
        name: getattr(blocks, block)[:, [index]]
        for block in BLOCKS
        for index, name in enumerate(signature.block(block))
    }


def test_the_sister_has_an_input_for_each_block_and_the_same_outputs() -> None:
    """Typed and as wide as the block; the metadata stay."""
    sister = onnx.load_model_from_string(pack(CLASSIFIER, widths_of(portable.CLASSIFIER)))
    found = {
        value.name: (value.type.tensor_type.elem_type, value.type.tensor_type.shape.dim[1].dim_value)
        for value in sister.graph.input
    }
    assert found == {
        "/number": (onnx.TensorProto.DOUBLE, 2),
        "/text": (onnx.TensorProto.STRING, 1),
        "/time": (onnx.TensorProto.INT64, 1),
    }
    whole = onnx.load_model_from_string(CLASSIFIER)
    assert list(sister.graph.output) == list(whole.graph.output)
    assert list(sister.metadata_props) == list(whole.metadata_props)


def test_a_block_without_columns_has_no_input() -> None:
    """Its width of 0 leaves it out."""
    sister = onnx.load_model_from_string(pack(CLASSIFIER, {"number": 2, "text": 1, "time": 0}))
    assert [value.name for value in sister.graph.input] == ["/number", "/text"]


def test_the_sister_of_a_trained_model_is_valid_and_answers_the_same(fitted: Result) -> None:
    """By ONNX's own checker, and to the bit."""
    signature, whole = fitted.model.signature, fitted.model.model_bytes
    sister = pack(whole, widths_of(signature))
    onnx.checker.check_model(onnx.load_model_from_string(sister), full_check=True)
    reference = pl.read_parquet(io.BytesIO(fitted.store.models.read_reference(fitted.best)))
    blocks = blocks_of_frame(signature, reference)
    assert answers(sister, packed_feeds(blocks)) == answers(whole, portable_feeds(signature, blocks))


def test_the_sister_of_a_hand_made_model_answers_the_same() -> None:
    """Regression too."""
    blocks = blocks_of_rows(portable.REGRESSOR, portable.ROWS)
    model = portable.regressor()
    sister = pack(model, widths_of(portable.REGRESSOR))
    onnx.checker.check_model(onnx.load_model_from_string(sister), full_check=True)
    assert answers(sister, packed_feeds(blocks)) == answers(model, portable_feeds(portable.REGRESSOR, blocks))


def test_an_extra_output_is_found_and_can_be_left_out_with_its_nodes() -> None:
    """What remains is the sister of the file without it."""
    for extra, file, plain, signature in (
        ("interval", portable.with_interval(), portable.regressor(), portable.REGRESSOR),
        ("set", portable.with_sets(), portable.classifier(), portable.CLASSIFIER),
    ):
        widths = widths_of(signature)
        assert (read_extra(file), read_extra(plain)) == (extra, None)
        left, expected = (
            onnx.load_model_from_string(one).graph for one in (pack(file, widths, without=extra), pack(plain, widths))
        )
        assert list(left.node) == list(expected.node)
        assert list(left.output) == list(expected.output)
        whole = onnx.load_model_from_string(pack(file, widths))
        assert [output.name for output in whole.graph.output][-1] == extra


def test_metadata_are_those_that_onnx_reads() -> None:
    """Without opening a session."""
    expected = {entry.key: entry.value for entry in onnx.load_model_from_string(CLASSIFIER).metadata_props}
    assert read_metadata(CLASSIFIER) == expected
    assert list(expected) == ["signature", "classes", "card"]


@pytest.mark.parametrize(
    "data",
    [b"", b"hello, I am no model", b"\x00" * 100, b"\xff" * 100, b"PK\x03\x04", b"\x72\x06\x0a\x01\xff\x12\x01\xff"],
)
def test_a_file_that_is_not_onnx_is_a_model_file_error(data: bytes) -> None:
    """Zip archives, text and zeros among them."""
    with pytest.raises(ModelFileError):
        Predictor(data)


def test_an_onnx_file_that_is_not_ours_is_a_model_file_error() -> None:
    """It has no signature."""
    model = onnx.load_model_from_string(CLASSIFIER)
    del model.metadata_props[:]
    with raises(ModelFileError, "The file is not a model that autopilot wrote: it has no signature."):
        Predictor(model.SerializeToString())


@given(stop=st.integers(0, len(CLASSIFIER) - 1))
@settings(max_examples=200)
def test_a_file_that_ends_too_early_is_a_model_file_error(stop: int) -> None:
    """Wherever it is cut; the last thing in it is the card, which it cannot do without."""
    with pytest.raises(ModelFileError):
        Predictor(CLASSIFIER[:stop])


def read_or_refuse(data: bytes) -> None:
    """Read and pack; a ModelFileError is as good."""
    with suppress(ModelFileError):
        read_metadata(data)
    with suppress(ModelFileError):
        read_extra(data)
    with suppress(ModelFileError):
        pack(data, {"number": 1, "text": 1, "time": 1}, without="set")


@given(data=st.binary(max_size=200))
@example(b"\x72\x02\x0a\x7f")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Reading metadata and packing neither crash nor hang."""
    read_or_refuse(data)


@given(data=st.data())
@settings(max_examples=200)
def test_changed_bytes_are_read_or_refused(data: st.DataObject) -> None:
    """As any bytes are, when most of them are right."""
    changed = bytearray(CLASSIFIER)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(changed))

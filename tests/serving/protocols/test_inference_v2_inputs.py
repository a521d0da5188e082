"""A tensor means what rows mean: the same inputs, to the bit, in JSON, nested JSON and binary."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import BodyError
from serving.formats.json_rows import JsonRows
from serving.protocols.inference_v2.inputs import Inputs
from serving.protocols.inference_v2.requests import read_request, read_tensors
from storage import Column, RowError, Signature
from storage.boundary import MISSING_TIME, Blocks

SIGNATURE = Signature(
    "regression",
    "target",
    (
        Column("ratio", "number", "Float64"),
        Column("when", "time", "Datetime(time_unit='us', time_zone=None)"),
        Column("town", "category", "String"),
        Column("count", "number", "Int64"),
        Column("zone", "category", "Int64"),
        Column("note", "text", "String"),
        Column("epoch", "time", "Int64", format="s"),
        Column("paid", "category", "Boolean"),
    ),
)
DATATYPES = {
    "ratio": "FP64",
    "when": "INT64",
    "town": "BYTES",
    "count": "FP64",
    "zone": "BYTES",
    "note": "BYTES",
    "epoch": "INT64",
    "paid": "BYTES",
}
TEXTS = (
    st.none() | st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["05", "5.0", " 5", "True", "1"])
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "ratio": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "when": st.none() | st.integers(MISSING_TIME + 1, 2**63 - 1),
            "town": TEXTS,
            "count": st.none() | st.integers(-(2**53), 2**53),
            "zone": TEXTS,
            "note": TEXTS,
            "epoch": st.none() | st.integers(-(10**9), 10**12),
            "paid": TEXTS,
        }
    ),
    min_size=1,
    max_size=4,
)


def read(signature: Signature, document: Any, tail: bytes | None = None) -> Blocks:
    head = json.dumps(document).encode()
    inputs = read_request(head).inputs
    blocks = Inputs(signature).read_plain(inputs) if tail is None else None
    if blocks is not None:
        assert bits(blocks) == bits(Inputs(signature).read(read_tensors(inputs, None))), "the quick way is the long way"
        return blocks
    return Inputs(signature).read(read_tensors(inputs, None if tail is None else memoryview(tail)))


def in_binary(datatype: str, cells: list[Any]) -> bytes:
    if datatype == "BYTES":
        texts = [(cell or "").encode() for cell in cells]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    if datatype == "BF16":
        return b"".join(np.float32(cell).tobytes()[2:] for cell in cells)
    missing, dtype = (MISSING_TIME, DTYPES[datatype]) if datatype == "INT64" else (np.nan, DTYPES[datatype])
    return np.array([missing if cell is None else cell for cell in cells], dtype).tobytes()


DTYPES = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2", "BOOL": "?"}
DTYPES |= {f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)}
DTYPES |= {f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)}


def one(name: str, datatype: str, cells: list[Any], *shape: int) -> dict[str, Any]:
    return {"inputs": [{"name": name, "shape": shape or [len(cells)], "datatype": datatype, "data": cells}]}


def behind(name: str, datatype: str, raw: bytes, *shape: int) -> tuple[dict[str, Any], bytes]:
    size = {"binary_data_size": len(raw)}
    return {"inputs": [{"name": name, "shape": shape, "datatype": datatype, "parameters": size}]}, raw


def lone(kind: Any, dtype: str = "Float64", **more: Any) -> Signature:
    return Signature("regression", "target", (Column("x", kind, dtype, **more),))


def bits(blocks: Blocks) -> tuple[bytes, list[list[str]], bytes]:
    assert all(block.flags.c_contiguous and block.flags.aligned for block in blocks)
    assert [block.dtype for block in blocks] == [np.float64, object, np.int64]
    return blocks.number.tobytes(), blocks.text.tolist(), blocks.time.tobytes()


@settings(max_examples=200)
@given(rows=ROWS)
def test_tensors_are_the_rows(rows: list[dict[str, Any]]) -> None:
    """Flat, nested, in binary, and half in binary; in any order of the inputs."""
    expected = bits(JsonRows(SIGNATURE).decode(json.dumps(rows).encode()))
    cells = {name: [row[name] for row in rows] for name in DATATYPES}
    flat = [one(name, DATATYPES[name], cells[name])["inputs"][0] for name in DATATYPES]
    nested = [
        one(name, DATATYPES[name], [[cell] for cell in cells[name]], len(rows), 1)["inputs"][0] for name in DATATYPES
    ]
    raw = {name: in_binary(DATATYPES[name], cells[name]) for name in DATATYPES}
    packed = [behind(name, DATATYPES[name], raw[name], len(rows), 1)[0]["inputs"][0] for name in DATATYPES]
    tail = b"".join(raw.values())
    assert bits(read(SIGNATURE, {"inputs": flat})) == expected
    assert bits(read(SIGNATURE, {"inputs": nested[::-1]})) == expected
    assert bits(read(SIGNATURE, {"inputs": packed}, tail)) == expected
    mixed = [packed[at] if at % 2 else flat[at] for at in range(len(flat))]
    assert bits(read(SIGNATURE, {"inputs": mixed}, b"".join(list(raw.values())[1::2]))) == expected


EXACT: list[tuple[str, list[Any]]] = [
    ("BOOL", [True, False]),
    ("INT8", [-128, 127]),
    ("UINT8", [0, 255]),
    ("INT16", [-(2**15), 2**15 - 1]),
    ("UINT16", [0, 2**16 - 1]),
    ("INT32", [-(2**31), 2**31 - 1]),
    ("UINT32", [0, 2**32 - 1]),
    ("INT64", [-(2**63), 2**53, -(2**53), 2**62, 2**53 + 2]),
    ("UINT64", [0, 2**53, 2**63]),
    ("FP16", [0.5, -65504.0, 6e-8]),
    ("FP32", [0.1, -3.4e38, 1e-45]),
    ("FP64", [0.1, 1.7e308, 5e-324]),
]


@pytest.mark.parametrize(("datatype", "cells"), EXACT)
@pytest.mark.parametrize("in_json", [True, False])
def test_numbers_of_each_datatype_arrive_as_they_are(datatype: str, cells: list[Any], in_json: bool) -> None:
    """As what the datatype holds: 0.1 as FP32 is another number than as FP64, in JSON too."""
    raw = in_binary(datatype, cells)
    told, tail = (one("x", datatype, cells), None) if in_json else behind("x", datatype, raw, len(cells))
    expected = np.array(cells, DTYPES[datatype]).astype(np.float64)
    assert read(lone("number"), told, tail).number.ravel().tolist() == expected.tolist()
    matrix = Signature("regression", "target", tuple(Column(f"c{at}", "number", "Float64") for at in range(len(cells))))
    told, tail = (
        (one("input", datatype, [cells, cells], 2, len(cells)), None)
        if in_json
        else behind("input", datatype, raw + raw, 2, len(cells))
    )
    assert read(matrix, told, tail).number.tolist() == [expected.tolist()] * 2


def test_bf16_is_the_upper_half_of_fp32() -> None:
    """In binary alone, since JSON does not have it."""
    told, tail = behind("x", "BF16", in_binary("BF16", [1.0, -2.5, 0.1]), 3)
    assert read(lone("number"), told, tail).number.ravel().tolist() == [1.0, -2.5, 0.099609375]
    with pytest.raises(BodyError, match="BF16, which JSON does not have"):
        read(lone("number"), one("x", "BF16", [1.0]))


@pytest.mark.parametrize(
    ("datatype", "cells", "at"),
    [
        ("INT64", [1, 2**53 + 1], 1),
        ("INT64", [-(2**53) - 1, 1], 0),
        ("UINT64", [2**64 - 1], 0),
    ],
)
@pytest.mark.parametrize("in_json", [True, False])
def test_whole_numbers_between_two_floats_are_refused(datatype: str, cells: list[int], at: int, in_json: bool) -> None:
    """Nothing is rounded without a word."""
    raw = in_binary(datatype, cells)
    told, tail = (one("x", datatype, cells), None) if in_json else behind("x", datatype, raw, len(cells))
    with pytest.raises(RowError, match=f"It is {cells[at]}, which is between two numbers of float64") as caught:
        read(lone("number"), told, tail)
    assert (caught.value.row, caught.value.cell) == (at, f"inputs[x][{at}]")


@pytest.mark.parametrize(
    ("datatype", "cell"),
    [
        ("INT8", 128),
        ("UINT8", -1),
        ("INT64", 2**63),
        ("UINT64", 2**64),
        ("INT32", 1.5),
        ("INT32", float("nan")),
        ("FP32", 1e39),
        ("FP16", 70_000),
    ],
)
def test_what_the_datatype_cannot_hold_is_refused(datatype: str, cell: Any) -> None:
    """By its place, in columns and in matrices."""
    with pytest.raises(RowError, match=f"which {datatype} cannot hold") as caught:
        read(lone("number"), one("x", datatype, [1, cell]))
    assert caught.value.cell == "inputs[x][1]"
    two = Signature("regression", "target", (Column("a", "number", "Float64"), Column("b", "number", "Float64")))
    with pytest.raises(RowError) as caught:
        read(two, one("input", datatype, [1, 1, 1, cell], 2, 2))
    assert (caught.value.cell, caught.value.row) == ("inputs[input][1][1]", 1)


@pytest.mark.parametrize(
    ("kind", "dtype", "datatype", "cells", "expected"),
    [
        ("number", "Float64", "FP64", [None, "1.5", " ", True], [np.nan, 1.5, np.nan, 1.0]),
        ("number", "Float64", "BYTES", ["1e3", "", None, 2], [1000.0, np.nan, np.nan, 2.0]),
        ("number", "Boolean", "BYTES", ["true", "False"], [1.0, 0.0]),
        ("number", "Float64", "FP32", [0.5, None, "2.5"], [0.5, np.nan, 2.5]),
        ("number", "Float64", "INT64", [3.0, None, "7"], [3.0, np.nan, 7.0]),
        ("number", "Float64", "FP64", [float("inf"), float("nan")], [np.inf, np.nan]),
        ("category", "Int64", "INT64", [5, None], ["5", ""]),
        ("category", "Int64", "FP64", [5.0, None], ["5", ""]),
        ("category", "Boolean", "BOOL", [True, False, None], ["true", "false", ""]),
        ("text", "String", "BYTES", ["ä", None, 7], ["ä", "", "7"]),
        ("time", "Date", "BYTES", ["1970-01-01T00:00:01Z", "", None], [1_000_000, MISSING_TIME, MISSING_TIME]),
        ("time", "Date", "INT64", [7, None, MISSING_TIME, 8.0], [7, MISSING_TIME, MISSING_TIME, 8]),
        ("time", "Date", "FP64", [7.0, None], [7, MISSING_TIME]),
    ],
)
def test_cells_mean_what_they_mean_in_rows(
    kind: str, dtype: str, datatype: str, cells: list[Any], expected: list[Any]
) -> None:
    """Whatever datatype they come in; null is missing in each."""
    blocks = read(lone(kind, dtype), one("x", datatype, cells))
    block = {"number": blocks.number, "category": blocks.text, "text": blocks.text, "time": blocks.time}[kind]
    np.testing.assert_array_equal(block.ravel(), np.array(expected, block.dtype))


@pytest.mark.parametrize(
    ("kind", "dtype", "datatype", "raw", "expected"),
    [
        ("category", "Int64", "INT64", in_binary("INT64", [5, 6]), ["5", "6"]),
        ("category", "Int64", "FP32", in_binary("FP32", [5.0, None]), ["5", ""]),
        ("category", "Boolean", "BOOL", b"\1\0", ["true", "false"]),
        ("number", "Float64", "BYTES", in_binary("BYTES", ["1.5", ""]), [1.5, np.nan]),
        ("time", "Date", "FP64", in_binary("FP64", [7.0, None]), [7, MISSING_TIME]),
        ("time", "Date", "INT32", in_binary("INT32", [7, 8]), [7, 8]),
    ],
)
def test_binary_cells_of_other_datatypes(kind: str, dtype: str, datatype: str, raw: bytes, expected: list[Any]) -> None:
    """As their JSON."""
    blocks = read(lone(kind, dtype), *behind("x", datatype, raw, 2))
    block = {"number": blocks.number, "category": blocks.text, "time": blocks.time}[kind]
    np.testing.assert_array_equal(block.ravel(), np.array(expected, block.dtype))


@pytest.mark.parametrize(
    ("datatype", "raw", "said"),
    [
        ("BOOL", b"\1\2", "element 1 is the byte 2"),
        ("BYTES", b"", "2 elements of BYTES"),
        ("BYTES", b"\1\0\0\0a\1\0\0", "2 elements of BYTES"),
        ("BYTES", b"\1\0\0\0a\2\0\0\0b", "2 elements of BYTES"),
        ("BYTES", b"\1\0\0\0a\xff\xff\xff\xffb", "2 elements of BYTES"),
        ("BYTES", b"\1\0\0\0a\1\0\0\0bc", "2 elements of BYTES"),
        ("BF16", b"\0\0\0", "2 elements of BF16, 4 bytes"),
    ],
)
def test_malformed_elements_are_refused(datatype: str, raw: bytes, said: str) -> None:
    """Lengths that overlap, bytes that are left, truth that is neither."""
    with pytest.raises(BodyError, match=said):
        read(lone("text", "String"), *behind("x", datatype, raw, 2))


def test_text_that_is_no_utf8_is_refused() -> None:
    """In binary JSON does not check it."""
    with pytest.raises(RowError, match="no UTF-8") as caught:
        read(lone("text", "String"), *behind("x", "BYTES", b"\1\0\0\0a\1\0\0\0\xff", 2))
    assert caught.value.cell == "inputs[x][1]"


@pytest.mark.parametrize("shape", [[3], [1, 2], [2, 1, 3]])
def test_a_matrix_has_all_columns(shape: list[int]) -> None:
    """Else it is told what they are."""
    three = Signature("regression", "target", tuple(Column(name, "number", "Float64") for name in "abc"))
    assert read(three, one("whatever", "FP64", [1, 2, 3, 4, 5, 6], 2, 3)).number.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(BodyError, match=r"'a', 'b', 'c'; or one of numbers with the shape \[N,3\]|Send \[N\]"):
        read(three, one("whatever", "FP64", [1.0] * int(np.prod(shape)), *shape))
    with pytest.raises(BodyError, match="no input 'whatever'"):
        read(SIGNATURE, one("whatever", "FP64", [1.0] * 8, 1, 8))


def test_a_matrix_of_binary_floats_is_not_copied() -> None:
    """It is the body itself."""
    two = Signature("regression", "target", (Column("a", "number", "Float64"), Column("b", "number", "Float64")))
    told, tail = behind("input", "FP64", np.arange(6.0).tobytes(), 3, 2)
    copied = 0
    for shift in range(8):  # numbers may stand at any address; the model's inputs are aligned
        head = json.dumps(told).encode() + b" " * shift
        body = head + tail
        block = Inputs(two).read(read_tensors(read_request(head).inputs, memoryview(body)[len(head) :])).number
        assert block.tolist() == [[0, 1], [2, 3], [4, 5]]
        assert block.flags.aligned
        copied += not np.shares_memory(block, np.frombuffer(body, np.uint8))
    assert copied == 7


@pytest.mark.parametrize(
    ("signature", "body", "expected"),
    [
        (lone("number"), np.array([1.5, np.nan]).tobytes(), [[1.5], [np.nan]]),
        (lone("number"), b"", []),
        (lone("time", "Date"), np.array([7, MISSING_TIME]).tobytes(), [[7], [MISSING_TIME]]),
        (lone("text", "String"), "Köln".encode(), [["Köln"]]),
        (lone("category", "Int64"), b"05", [["5"]]),
    ],
)
def test_a_body_may_be_the_only_input(signature: Signature, body: bytes, expected: list[list[Any]]) -> None:
    """All its bytes: numbers and times as many as there are, text as one cell."""
    blocks = Inputs(signature).read_raw(body)
    (block,) = [block for block in blocks if block.shape[1]]
    np.testing.assert_array_equal(block, np.array(expected, block.dtype).reshape(-1, 1))
    assert blocks.rows == len(expected)


def test_a_raw_body_has_whole_elements() -> None:
    """8 bytes each, of floats and of times."""
    with pytest.raises(BodyError, match="no whole number of FP64"):
        Inputs(lone("number")).read_raw(bytes(9))
    with pytest.raises(RowError, match="no UTF-8"):
        Inputs(lone("text", "String")).read_raw(b"\xff")


def test_what_rows_may_carry_tensors_may_carry() -> None:
    """The target is not looked at, in binary neither."""
    told, tail = behind("target", "FP64", bytes(8), 1)
    told["inputs"] += one("x", "FP64", [1])["inputs"]
    assert read(lone("number"), told, tail).number.tolist() == [[1.0]]


@pytest.mark.parametrize("seen", ["INT64", "BYTES"])
def test_usual_requests_take_the_quick_way(seen: str) -> None:
    """With null too; whatever else is sent is left to the other."""
    signature = Signature("regression", "target", (Column("x", "number", "Float64"), Column("when", "time", "Date")))
    x, when = one("x", "FP64", [1, None])["inputs"], one("when", seen, [None, 7], 2, 1)["inputs"]

    def quick(*inputs: dict[str, Any]) -> Blocks | None:
        return Inputs(signature).read_plain(read_request(json.dumps({"inputs": inputs}).encode()).inputs)

    assert quick(*x, *when) is not None
    assert quick(*when, *x) is not None
    others = [
        [*x],
        [*x, *x],
        [*x, *when, *x],
        [*x, *one("when", seen, [None])["inputs"]],
        [*x, *one("when", "INT32", [None, 7])["inputs"]],
        [*one("x", "FP32", [1, None])["inputs"], *when],
        [*one("x", "FP64", [1, "2"])["inputs"], *when],
        [*one("x", "FP64", [1, 10**400])["inputs"], *when],
        [*one("x", "FP64", [1, [2]])["inputs"], *when],
        [*x, *one("when", seen, [MISSING_TIME, 7])["inputs"]],
        [*x, *one("when", seen, [True, 7])["inputs"]],
        [*x, *one("when", seen, ["soon", 7])["inputs"]],
        [{**x[0], "parameters": {"binary_data_size": 16}}, *when],
        [{**x[0], "shape": [1, 2]}, *when],
    ]
    assert [quick(*inputs) for inputs in others] == [None] * len(others)

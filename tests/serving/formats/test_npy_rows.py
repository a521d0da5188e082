"""NumPy arrays become a model's inputs, or an error that says what to send."""

import io
import tracemalloc
from typing import Any

import numpy as np
import pytest

from serving.errors import BodyError
from serving.formats.npy_rows import NpyRows
from storage import Column, RowError, Signature
from storage.boundary import MISSING_TIME
from tests.portable import REGRESSOR

NUMBERS = Signature("regression", "y", tuple(Column(name, "number", "Float64") for name in "abc"))
MIXED = Signature(
    "regression",
    "y",
    (
        Column("a", "number", "Float64"),
        Column("zone", "category", "Int64"),
        Column("seen", "time", "Datetime"),
        Column("since", "time", "Int64", format="s"),
    ),
)
MAY_US = 1_714_521_600_000_000  # date -d 2024-05-01Z +%s


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(array), **options)
    return file.getvalue()


def raw(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """A file with this header, whatever it says."""
    text = header.encode("utf-8" if version == 3 else "latin-1")
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + data


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", "<i8", ">i4", "|u1", "<u8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_table_of_numbers_is_rows_of_all_columns(dtype: str, order: Any) -> None:
    """In the order of the signature, of any type of number, by rows or by columns."""
    array = np.array([[1, 2, 3], [4, 5, 6]], dtype=dtype, order=order)
    assert NpyRows(NUMBERS).decode(npy(array)).number.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def test_one_dimension_is_one_row() -> None:
    """As the SageMaker SDK's users send it."""
    assert NpyRows(NUMBERS).decode(npy([1.0, np.nan, np.inf])).number.tolist() == [
        [1.0, pytest.approx(np.nan, nan_ok=True), np.inf]
    ]


def test_numbers_may_be_categories_and_times() -> None:
    """Whole ones; microseconds since 1970, or what training had."""
    blocks = NpyRows(MIXED).decode(npy([[1.5, 7.0, MAY_US, 10.5], [np.nan] * 4]))
    assert blocks.text.tolist() == [["7"], [""]]
    assert blocks.time.tolist() == [[MAY_US, 10_500_000], [MISSING_TIME, MISSING_TIME]]


@pytest.mark.parametrize(
    ("unit", "micros"), [("D", MAY_US), ("s", MAY_US), ("ms", MAY_US), ("us", MAY_US), ("ns", MAY_US)]
)
def test_named_fields_are_columns(unit: str, micros: int) -> None:
    """In any order, aligned, with more of them; times of any unit."""
    fields = [("seen", f"M8[{unit}]"), ("more", "i1"), ("since", "i4"), ("zone", "S3"), ("a", "?")]
    array = np.array([("2024-05-01", 1, 10, "7", True), ("NaT", 1, 10, "", False)], dtype=np.dtype(fields, align=True))
    for one in (array, array[:1].reshape(())):
        blocks = NpyRows(MIXED).decode(npy(one))
        assert blocks.number.tolist() == [[1.0], [0.0]][: one.size]
        assert blocks.text.tolist() == [["7"], [""]][: one.size]
        assert blocks.time.tolist() == [[micros, 10_000_000], [MISSING_TIME, 10_000_000]][: one.size]


def test_names_of_fields_may_be_any_text() -> None:
    """As Python writes it."""
    names = ["it's", 'say "x"', "both ' and \"", "tab\t", "back\\slash", "東京", "é"]
    signature = Signature("regression", "y", tuple(Column(name, "number", "Float64") for name in names))
    file = io.BytesIO()
    array = np.array([tuple(range(7))], dtype=[(name, "f8") for name in names])
    np.lib.format.write_array(file, array, version=(3, 0))
    assert NpyRows(signature).decode(file.getvalue()).number.tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]


@pytest.mark.parametrize(
    ("array", "column", "row", "message"),
    [
        (np.array([["1", "Ulm", "2", ""], ["n/a", "Ulm", "2", ""]]), "amount", 1, "row 1 holds 'n/a'"),
        (np.array([["1", "Ulm", "2", "soon"]]), "seen", 0, "row 0 holds 'soon'"),
        (np.array([[1, 2.5, 3, 4]]), "town", 0, "row 0 holds 2.5"),
        (np.array([[1, 2, 3, 4.5]]), "seen", 0, "row 0 holds 4.5"),
        (np.array([[b"1", b"\xff", b"1", b""]]), "town", None, "bytes that are no text"),
        (np.array([(1,)], dtype=[("amount", "f8")]), "town", None, "lacks 'town'"),
    ],
)
def test_a_wrong_cell_is_named(array: Any, column: str, row: int | None, message: str) -> None:
    """With its row, if there is one."""
    with pytest.raises(RowError, match=message) as caught:
        NpyRows(REGRESSOR).decode(npy(array))
    assert (caught.value.column, caught.value.row) == (column, row)


def test_a_time_beyond_the_calendar_is_refused() -> None:
    """NumPy itself would wrap it around."""
    array = np.array([(1, 1, 2**62, 1)], dtype=[("a", "f8"), ("zone", "i8"), ("seen", "M8[D]"), ("since", "i8")])
    with pytest.raises(RowError, match="292,000 years"):
        NpyRows(MIXED).decode(npy(array))


def test_broken_unicode_is_refused() -> None:
    """NumPy makes broken text of it, which ends in a SystemError somewhere else."""
    array = np.array([["1", "Ulm", "2", ""]])
    body = npy(array).replace("U".encode("utf-32-le"), b"\xff\xff\xff\xff")
    with pytest.raises(RowError, match="'town' holds bytes that are no text"):
        NpyRows(REGRESSOR).decode(body)


ONE = "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no NumPy file. Write it by numpy.save"),
        (b"[[1, 2, 3]]", "no NumPy file"),
        (b"PK\x03\x04", "It is an .npz: send its array alone"),
        (b"\x93NUMPY", "ends in its header"),
        (b"\x93NUMPY\x01\0\xff\xff{", "ends in its header"),
        (raw(ONE, bytes(24), version=2)[:30], "ends in its header"),
        (raw(ONE, bytes(24)).replace(b"\x01\0", b"\x04\0", 1), "has the version 4"),
        (raw(ONE, bytes(23)), r"shape \(3,\) is 24 bytes long; the body has 23"),
        (raw(ONE, bytes(25)), "the body has 25"),
        (npy(np.zeros((0, 3))), "has no rows"),
        (npy(np.zeros((2, 2))), r"has the shape \(2, 2\); the model takes 3 columns"),
        (npy(np.zeros((1, 1, 3))), r"\(1, 1, 3\)"),
        (npy(np.float64(1)), r"the shape \(\)"),
        (npy(np.zeros((1, 3), complex)), "is not read"),
        (npy(np.zeros((1, 3), "M8[Y]")), "is not read"),
        (npy(np.array([[1, None, 2]], dtype=object), allow_pickle=True), "Python objects, which are never read"),
        (npy(np.array([(1, None)], dtype=[("a", "f8"), ("b", "O")]), allow_pickle=True), "Python objects"),
        (raw("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3), }"), "is not read"),
        (
            raw("{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999, 3), }"),
            "23999999999999976 bytes long",
        ),
        (raw("{'descr': '<U9999999', 'fortran_order': False, 'shape': (3,), }"), "119999988 bytes long"),
        (raw("{'descr': '<U0', 'fortran_order': False, 'shape': (999999999999999, 3), }"), "is not read|Send .rows"),
        (
            raw("{'descr': [('a', '<f8'), ('a', '<f8')], 'fortran_order': False, 'shape': (1,), }"),
            "names a field twice",
        ),
        (raw("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'more': 1}"), "is not read"),
        (raw("__import__('os').system('true')"), "is not read"),
        (raw("(" * 60_000), "is not read"),
    ],
)
def test_other_bytes_are_refused_before_anything_is_allocated(body: bytes, message: str) -> None:
    """Whatever they say of themselves."""
    reader = NpyRows(NUMBERS)
    tracemalloc.start()
    try:
        with pytest.raises(BodyError, match=message):
            reader.decode(body)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_few_rows_are_told_by_the_header() -> None:
    """So that they are answered without a hop to a thread."""
    reader = NpyRows(NUMBERS)
    assert reader.has_few(npy(np.zeros((50, 3))))
    assert not reader.has_few(npy(np.zeros((51, 3))))
    assert not reader.has_few(npy(np.zeros((51, 3), np.int8)))
    assert not reader.has_few(bytes(200_000))

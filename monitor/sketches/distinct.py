"""How many different values: Compressed Probabilistic Counting (Lang 2017), as `datasketches` has it.

A sketch's coupons are a set, so unions in any order give the same bytes and the same estimate.
"""

from collections.abc import Iterable

from monitor.sketches.library import datasketches

#: The logarithm of the sketch's size. Measured up to 100,000 values: 9 is right within 2.5% (standard error) in 340
#: bytes, 10 within 1.9% in 660, 11 within 1.6% in 1,290.
LG_K = 9


def distinct_of(values: Iterable[float] | Iterable[str]) -> bytes:
    """The sketch of values; repeats cost time and change nothing. 0.0 and -0.0 are one value."""
    sketch = datasketches().cpc_sketch(LG_K)
    for value in values:
        sketch.update(value)
    return together([sketch.serialize()])


def together(sketches: Iterable[bytes]) -> bytes:
    """The sketch of all values of several; nothing stands for no values.

    >>> round(count_of(together([distinct_of(["Ulm", "Bonn"]), b"", distinct_of(["Bonn", "Rome"])])))
    3
    """
    union = datasketches().cpc_union(LG_K)
    for data in sketches:
        if data:
            union.update(datasketches().cpc_sketch.deserialize(data))
    result = union.get_result()
    return b"" if result.is_empty() else result.serialize()


def count_of(sketch: bytes) -> float:
    """How many values there are, estimated; few are counted nearly exactly.

    >>> count_of(b"")
    0.0
    """
    return datasketches().cpc_sketch.deserialize(sketch).get_estimate() if sketch else 0.0

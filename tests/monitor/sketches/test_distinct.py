"""Distinct values: the same estimate in any order, near the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.sketches.distinct import count_of, distinct_of, together

levels = st.lists(st.text(max_size=4) | st.integers(0, 50).map(str), max_size=60)


@settings(max_examples=50)
@given(st.lists(levels, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_unions_in_any_order_are_the_same_bytes(parts: list[list[str]], random) -> None:
    """As those of all values at once."""
    sketches = [distinct_of(part) for part in parts]
    mixed = random.sample(sketches, len(sketches))
    whole = distinct_of([value for part in parts for value in part])
    assert together(sketches) == together([together(mixed[:2]), *mixed[2:]]) == whole


@pytest.mark.parametrize("count", [0, 1, 10, 100, 10_000, 100_000])
def test_counts_are_near_the_truth(count: int) -> None:
    """Within four standard errors of 2.5%."""
    values = np.arange(count) * 0.5
    sketch = distinct_of([*values.tolist(), *values[: count // 2].tolist()])
    assert count_of(sketch) == pytest.approx(count, rel=0.1, abs=0.01)

"""Sums of floats that do not depend on the order of what is added.

Floating-point addition rounds, so (a + b) + c and a + (b + c) differ in the last bits: two ways of merging the same
windows would give two means. Each finite float64 is a whole multiple of 2⁻¹¹²⁶, though, and whole numbers add exactly.
"""

import numpy as np
from numpy.typing import NDArray

#: A sum s stands for the number s · 2^-SCALE. The smallest float64 is 2⁻¹⁰⁷⁴, and its mantissa of 53 bits is taken
#: apart without looking whether it has as many.
SCALE = 1074 + 52

_MANTISSA_BITS = 53
_LOW_BITS = 26
_LOW = (1 << _LOW_BITS) - 1


def exact_sum(values: NDArray[np.float64]) -> int:
    """The sum of finite floats as a whole number of 2^-SCALE.

    Rows of the same exponent are added as integers, in two halves of 27 and 26 bits, so that 2^36 rows fit.

    >>> exact_sum(np.array([0.1, 0.2, 0.3])) == exact_sum(np.array([0.3, 0.1, 0.2]))
    True
    >>> exact_sum(np.array([1e300, 1.0, -1e300])) == 1 << SCALE
    True
    """
    if not len(values):
        return 0
    fractions, exponents = np.frexp(values)
    mantissas = np.ldexp(fractions, _MANTISSA_BITS).astype(np.int64)
    order = np.argsort(exponents, kind="stable")
    sorted_exponents, mantissas = exponents[order], mantissas[order]
    starts = np.flatnonzero(np.diff(sorted_exponents, prepend=sorted_exponents[0] - 1))
    high = np.add.reduceat(mantissas >> _LOW_BITS, starts)
    low = np.add.reduceat(mantissas & _LOW, starts)
    shifts = sorted_exponents[starts] - _MANTISSA_BITS + SCALE
    parts = zip(high.tolist(), low.tolist(), shifts.tolist(), strict=True)
    return sum(((a << _LOW_BITS) + b) << shift for a, b, shift in parts)


def mean_of(total: int, rows: int) -> float:
    """The mean of so many rows, rounded once.

    >>> mean_of(exact_sum(np.array([0.5, 1.0])), 2)
    0.75
    """
    return _ratio(total, rows << SCALE)


def variance_of(total: int, squares: int, rows: int) -> float:
    """The variance, Σ(x - mean)² / rows, of a sum and a sum of squares, rounded once.

    Squares that were rounded before they were added can make it negative where it is nearly zero: then it is zero.

    >>> values = np.array([1.0, 2.0, 3.0, 4.0])
    >>> variance_of(exact_sum(values), exact_sum(values**2), 4)
    1.25
    """
    return max(_ratio((rows * squares << SCALE) - total * total, rows * rows << (2 * SCALE)), 0.0)


def packed(total: int) -> tuple[int, bytes]:
    """A sum in few bytes: how many zero bits it ends in, and the rest; `unpacked` gives it back.

    >>> packed(1 << SCALE), unpacked(*packed(-3 << 70))
    ((1126, b'\\x01'), -3541774862152233910272)
    """
    zeros = (total & -total).bit_length() - 1 if total else 0
    rest = total >> zeros
    return zeros, rest.to_bytes(rest.bit_length() // 8 + 1, "little", signed=True)


def unpacked(zeros: int, rest: bytes) -> int:
    """The sum that was packed."""
    return int.from_bytes(rest, "little", signed=True) << zeros


def _ratio(numerator: int, denominator: int) -> float:
    """Python divides whole numbers of any size correctly rounded; beyond the floats it is infinite."""
    try:
        return numerator / denominator
    except OverflowError:
        return float("inf") if numerator > 0 else float("-inf")

"""Columns that not every product likes, each asked about alone."""

from compared_tables import Sides

_RAMP = [float(number) for number in range(200)]

ODD_COLUMNS = {
    "empty reference": Sides("float", [None] * 100, _RAMP),
    "empty current": Sides("float", _RAMP, [None] * 100),
    "empty strings on one side": Sides("object", ["a", "b"] * 50, [None] * 50),
    "infinities in both": Sides("float", [*_RAMP, float("inf")], [*_RAMP, float("-inf"), float("inf")]),
    "infinities now": Sides("float", _RAMP, [*_RAMP, float("-inf"), float("inf"), float("inf")]),
    "another constant": Sides("float", [1.0] * 80, [2.0] * 60),
    "another level": Sides("str", ["a"] * 80, ["b"] * 60),
    "other levels": Sides("str", ["a", "b"] * 40, ["c", "d"] * 30),
    "booleans with gaps": Sides("object", [True, False, None] * 50, [True, None] * 50),
    "equal shares of ten": Sides("str", [f"l{n % 10}" for n in range(300)], [f"l{n % 10}" for n in range(200)]),
    "whole numbers of ten values now": Sides("int", list(range(100)), [n % 10 for n in range(100)]),
    "whole numbers of more values now": Sides("int", [n % 10 for n in range(100)], list(range(100))),
    "stop words": Sides(
        "text", [f"the and {'a' * (n % 2)}" * n for n in range(1, 60)], ["of it " * n for n in range(1, 60)]
    ),
    "strings now": Sides("mixed", _RAMP, [f"l{n % 4}" for n in range(200)]),
    "numbers now": Sides("mixed", [f"l{n % 4}" for n in range(200)], _RAMP),
    "few whole numbers now": Sides("mixed", [f"l{n % 4}" for n in range(200)], [n % 4 for n in range(100)]),
    "a few strings now": Sides("mixed", [n % 3 for n in range(1200)], [f"l{n % 4}" for n in range(100)]),
}

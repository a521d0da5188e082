"""What all tests share: patient Hypothesis, and one small fitted model for those that only look at it."""

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import autopilot
from tests import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autopilot import Result

# As training has it: on shared cores, threads that spin for each other made small products 20 times slower. NumPy and
# SciPy read this when they are imported, which nothing has done yet.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Neighbours make any single example slow. On CI the examples are the same each time, so that what lands does not depend
# on luck; everywhere else Hypothesis goes on searching.
settings.register_profile("shared machine", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Result]":
    """A binary classifier of the mixed table; look at it, change nothing."""
    result = autopilot.fit(
        tables.mixed(400),
        target="paid",
        name="mixed",
        budget=60,
        max_trials=6,
        store=tmp_path_factory.mktemp("fitted") / "store",
        progress=False,
        columns={"note": "text"},
    )
    yield result
    result.store.close()

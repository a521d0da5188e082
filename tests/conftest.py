"""What all tests share: patient Hypothesis, and one small fitted model for those that only look at it."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

import autopilot
from autopilot import Result
from tests import tables

settings.register_profile("shared machine", deadline=None)  # neighbours make any single example slow
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    """A binary classifier of the mixed table, fitted in about 4 s; look at it, change nothing."""
    result = autopilot.fit(
        tables.mixed(400),
        target="paid",
        name="mixed",
        budget=4,
        store=tmp_path_factory.mktemp("fitted") / "store",
        progress=False,
        columns={"note": "text"},
    )
    yield result
    result.store.close()

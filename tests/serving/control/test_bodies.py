"""Bodies, tags and cursors of any kind are read, or refused in words: never anything else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from serving.control.bodies import decode
from serving.control.etags import Condition
from serving.errors import PreconditionError, RequestError
from storage.api import AliasTarget, EndpointChange, EndpointConfig, ScheduleConfig
from storage.batch import Transform
from storage.replay import ReplaySpec
from storage.rollouts import Plan
from tests.refusals import raises

BODIES = [AliasTarget, EndpointChange, EndpointConfig, ScheduleConfig, Transform, ReplaySpec, Plan]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", BODIES)
@given(data=st.data())
def test_json_of_any_kind_is_read_or_refused(kind: type[Struct], data: st.DataObject) -> None:
    """With the fields that there are, and others."""
    names = st.sampled_from(kind.__struct_encode_fields__) | st.text(max_size=5)
    body = data.draw(JSON | st.dictionaries(names, JSON, max_size=4))
    try:
        found = decode(json.dumps(body).encode(), kind)
    except RequestError as error:
        told = str(error)
    else:
        assert isinstance(found, kind)
        assert isinstance(body, dict)
        assert set(body) <= set(kind.__struct_encode_fields__)
        return
    assert told.endswith(".")


@given(st.binary(max_size=50))
def test_bytes_of_any_kind_are_refused(body: bytes) -> None:
    """But for what happens to be JSON of this form."""
    try:
        decode(body, AliasTarget)
    except RequestError:
        return
    assert set(json.loads(body)) == {"version"}


@given(st.text(st.characters(codec="latin-1"), max_size=20))
def test_conditions_of_any_kind_are_understood_or_refused(header: str) -> None:
    """Nothing but the tag itself, or `*`, lets a change through."""
    try:
        Condition(header, None).check("it", 3, lambda _: '"3"', lambda found: found)
    except RequestError:
        return
    assert '"3"' in header or header.strip() == "*"


@pytest.mark.parametrize(
    ("match", "none_match", "found", "passes"),
    [
        ('"3"', None, 3, True),
        ('"2", "3"', None, 3, True),
        ("*", None, 3, True),
        ('W/"3"', None, 3, False),  # a weak tag tells not enough to change it
        ('"2"', None, 3, False),
        ("*", None, None, False),
        ('"3"', None, None, False),
        (None, "*", None, True),
        (None, "*", 3, False),
        (None, '"2"', 3, True),
        (None, 'W/"3"', 3, False),
        (None, None, 3, True),
    ],
)
def test_each_condition_is_that_of_the_standard(
    match: str | None, none_match: str | None, found: int | None, passes: bool
) -> None:
    """RFC 9110, sections 13.1.1 and 13.1.2."""

    def check() -> Any:
        return Condition(match, none_match).check("it", found, lambda number: f'"{number}"', lambda number: number)

    if passes:
        check()
        return
    with raises(PreconditionError, "Look at it again, and repeat what is still wanted.") as caught:
        check()
    assert caught.value.current == found

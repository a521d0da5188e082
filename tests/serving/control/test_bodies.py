"""Bodies, tags and cursors of any kind are read, or refused in words: never anything else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from serving.control.bodies import decode
from serving.control.etags import Condition
from serving.errors import OptionError, PreconditionError, RequestError
from storage.api import AliasTarget, EndpointChange, EndpointConfig, ScheduleConfig
from storage.batch import Transform
from storage.labels import LabelItem
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


VARIANT: dict[str, Any] = {"name": "main", "model": "price", "version": 1}


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (
            EndpointConfig,
            {"variants": [VARIANT], "capture": {"mode": "burn"}},
            "capture.mode is 'burn'. Send 'async' or 'sync'.",
        ),
        (
            EndpointChange,
            {"capture": {"redact": {"seen": "drop", "town": "burn"}}},
            "capture.redact.town is 'burn'. Send 'drop', 'hash' or 'mask'.",
        ),
        (
            EndpointConfig,
            {"variants": [VARIANT], "provider": "tpu"},
            "provider is 'tpu'. Send 'cpu' or 'cuda'.",
        ),
        (
            Transform,
            {"model": "price", "source": "a.csv", "out": "b.csv", "on_error": "burn"},
            "on_error is 'burn'. Send 'null', 'raise' or 'skip'.",
        ),
        (
            Transform,
            {"model": "price", "source": "a.csv", "out": "b.csv", "on_error": 3},
            "on_error is 3. Send 'null', 'raise' or 'skip'.",
        ),
        (Plan, {"model": "price", "strategy": "burn"}, "strategy is 'burn'. Send 'blue_green', 'canary' or 'linear'."),
        (
            Plan,
            {"model": "price", "guards": [{"kind": "errors"}, {"kind": "burn"}]},
            "guards[1].kind is 'burn'. Send 'errors', 'latency' or 'scores'.",
        ),
    ],
)
def test_a_word_that_is_no_choice_is_refused_with_the_choices(kind: type[Struct], body: Any, told: str) -> None:
    """At its own place, those of the type."""
    with pytest.raises(RequestError) as caught:
        decode(json.dumps(body).encode(), kind)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'[{"inference_id": "a", "label": null}]', "[0].label is null. Send true or false, a number or text."),
        (b'[{"inference_id": "a", "label": 1}, {"label": 1}]', "[1] lacks 'inference_id'. Send it."),
        (
            b'[{"inference_id": "a", "label": 1, "rows": 1}]',
            "The body has a field 'rows' at [0], which is not known. "
            "The fields are 'inference_id', 'label', 'row', 'happened_at'.",
        ),
        (b'{"inference_id": "a"}', 'The body is {"inference_id":"a"}. Send a list.'),
        (
            b"",
            "The body is empty. Send a JSON list of objects with 'inference_id', 'label', 'row', 'happened_at'.",
        ),
    ],
)
def test_a_list_is_refused_in_the_same_words(body: bytes, told: str) -> None:
    """Such as that of labels: with the number of the entry."""
    assert decode(b'[{"inference_id": "a", "label": 1}]', list[LabelItem]) == [LabelItem("a", 1)]
    with pytest.raises(RequestError) as caught:
        decode(body, list[LabelItem])
    assert str(caught.value) == told


@pytest.mark.parametrize("kind", [Plan, ReplaySpec])
def test_an_unknown_field_is_refused_with_those_that_are_known(kind: type[Struct]) -> None:
    """Whether msgspec finds it, or we."""
    names = ", ".join(repr(name) for name in kind.__struct_encode_fields__)
    with raises(RequestError, f"The body has a field 'modle', which is not known. The fields are {names}."):
        decode(b'{"modle": "price"}', kind)


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


@pytest.mark.parametrize("header", ["garbage", "5", '"3", garbage', 'garbage, "3"', '"3', "*, *"])
@pytest.mark.parametrize("found", [None, 3, 4])
def test_a_condition_that_is_none_is_refused_whatever_there_is(header: str, found: int | None) -> None:
    """Where nothing is there, and where the tag came before the mistake."""
    for condition in (Condition(header, None), Condition(None, header)):
        with raises(OptionError, f"A condition is {header!r}. Send an ETag as it came, in its quotes"):
            condition.check("it", found, lambda number: f'"{number}"', lambda number: number)


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

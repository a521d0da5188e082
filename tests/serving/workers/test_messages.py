"""What workers and supervisor tell each other arrives as it was said."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.workers.messages import (
    Ask,
    Collect,
    Collected,
    End,
    FromWorker,
    Leaving,
    LetGo,
    Ready,
    Report,
    Told,
    ToWorker,
    from_worker,
    packed,
    to_worker,
)
from serving.workers.totals import Family, Sample

samples = st.builds(
    Sample,
    st.text(max_size=5),
    st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=2).map(tuple),
    st.floats(allow_nan=False),
)
families = st.builds(
    Family,
    st.text(max_size=5),
    st.text(max_size=5),
    st.just("counter"),
    st.sampled_from(["sum", "max", "min"]),
    lasts=st.booleans(),
    samples=st.lists(samples, max_size=3).map(tuple),
)
states = st.lists(families, max_size=3).map(tuple)
numbers = st.integers(0, 2**40)
of_workers = st.one_of(
    st.builds(Ready, st.text()),
    st.builds(Report, st.floats(0, 1), numbers),
    st.builds(Ask, numbers, states),
    st.builds(Told, st.none() | numbers, states),
    st.just(Leaving()),
)
of_supervisors = st.one_of(
    st.builds(Collect, numbers),
    st.builds(Collected, numbers, states),
    st.builds(LetGo, numbers),
    st.builds(End, st.booleans(), st.booleans(), st.booleans()),
)


@given(st.lists(of_workers, max_size=5), st.lists(of_supervisors, max_size=5))
def test_messages_come_one_after_another(said: list[FromWorker], told: list[ToWorker]) -> None:
    """Until the end of the stream."""

    async def read() -> None:
        for read_one, messages in ((from_worker, said), (to_worker, told)):
            reader = asyncio.StreamReader()
            reader.feed_data(b"".join(map(packed, messages)))
            reader.feed_eof()
            assert [await read_one(reader) for _ in messages] == list(messages)
            with pytest.raises(EOFError):
                await read_one(reader)

    asyncio.run(read())

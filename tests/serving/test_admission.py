"""Requests are admitted while they can be answered in time, and refused at once when not."""

import contextlib
from time import monotonic

import pytest

from serving.admission import Admission, Pace, deadline_of
from serving.errors import DeadlineError, OverloadedError, TimeoutHeaderError


def test_a_deadline_is_counted_from_now() -> None:
    """In milliseconds; none where the client says none."""
    assert deadline_of({b"x-request-timeout-ms": b"250"}, 100.0) == 100.25
    assert deadline_of({}, 100.0) is None


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"0",
        b"-5",
        b"1.5",
        b"soon",
        b"9" * 40,
        b"0" * 9 + b"19999999999",
        b"1" + b"0" * 5000,
        "٣".encode(),
        b"\xff",
    ],
)
def test_a_deadline_that_is_no_number_of_milliseconds_is_refused(header: bytes) -> None:
    """With what would be right."""
    with pytest.raises(TimeoutHeaderError, match="whole milliseconds from 1 to 3600000"):
        deadline_of({b"x-request-timeout-ms": header}, 0.0)


def test_work_is_refused_that_would_be_late() -> None:
    """Behind what is queued already, shared by the threads."""
    admission = Admission(threads=2)
    admission.queued_s = 1.0  # half a second for each thread
    assert admission.admit_large(monotonic() + 1.0, Pace(0.001), 100) == pytest.approx((0.1, 0.6))
    admission.admit_large(None, Pace(0.001), 5_000)
    with pytest.raises(DeadlineError, match="after X-Request-Timeout-Ms") as caught:
        admission.admit_large(monotonic() + 0.4, Pace(0.001), 100)
    assert caught.value.retry_after_s == pytest.approx(0.2, abs=0.1)


def test_no_more_than_ten_seconds_of_work_wait() -> None:
    """Whoever comes then is told when to come again."""
    admission = Admission(threads=2)
    admission.queued_s = 22.0
    with pytest.raises(OverloadedError, match=r"work for 11\.0 s") as caught:
        admission.admit_large(None, Pace(0.001), 100)
    assert caught.value.retry_after_s == 11.0


def test_the_pace_follows_what_was_measured() -> None:
    """Within some dozens of requests; short bodies, which take what they take for other reasons, teach little."""
    pace = Pace(1e-6)
    for _ in range(100):
        pace.learn(1_000_000, 0.5)
    assert pace.predict(2_000_000) == pytest.approx(1.0, rel=0.1)
    pace.learn(100, 0.5)
    assert pace.predict(2_000_000) < 4


def test_few_rows_are_refused_when_the_event_loop_has_read_more_than_it_can_answer_in_time() -> None:
    """By what each took lately; whoever says no deadline is answered whenever it is."""
    admission = Admission(threads=1)
    for _ in range(100):
        admission.turn.learn(company=10, seconds=0.001)
    admission.admit_small(monotonic() + 0.05, company=100)
    admission.admit_small(None, company=10_000)
    with pytest.raises(DeadlineError):
        admission.admit_small(monotonic() + 0.05, company=1_000)


def test_a_first_request_is_admitted() -> None:
    """Nothing is known yet."""
    Admission(threads=1).admit_small(monotonic() + 0.001, company=1)


def test_one_slow_request_does_not_refuse_all_that_follow() -> None:
    """Where all are refused nobody teaches anything: refusals do."""
    admission = Admission(threads=1)
    admission.turn.learn(company=1, seconds=5.0)
    pace = Pace(1.0)
    for _ in range(500):
        with contextlib.suppress(DeadlineError):
            admission.admit_small(monotonic() + 0.05, company=1)
        with contextlib.suppress(DeadlineError):
            admission.admit_large(monotonic() + 0.05, pace, 100)
    admission.admit_small(monotonic() + 0.05, company=1)
    admission.admit_large(monotonic() + 0.05, pace, 100)

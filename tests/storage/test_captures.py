"""Captured requests are paged through, newest first, and counted."""

import math
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from storage.boundary import blocks_of_rows
from storage.captures import Captured, capture_page, capture_summary
from storage.errors import InputError
from storage.predictor import Predictor
from storage.traffic import Header, Invocation, Traffic
from tests import portable
from tests.storage.test_traffic import HEADER, HOUR_US, NOON, NOON_US, invocation


@pytest.fixture
def traffic(tmp_path: Path) -> Traffic:
    """Twelve requests of two rows over three hours, to two variants; three of them at the same moment."""
    traffic = Traffic(tmp_path / "traffic")
    for variant in ("main", "new"):
        writer = traffic.writer(replace(HEADER, variant=variant))
        for number in range(6):
            time_us = NOON_US + number // 2 * HOUR_US + (number if number != 3 else 2)
            writer.append([invocation(f"{variant}{number}", time_us, (1.0, 2.0))])
        writer.rotate()
    return traffic


def all_pages(traffic: Traffic, limit: int) -> list[list[Captured]]:
    """The requests page by page, until there is no next."""
    pages: list[list[Captured]] = []
    after: str | None = None
    while True:
        page = capture_page(traffic, "price", limit=limit, after=after)
        pages.append(list(page.items))
        if page.next is None:
            return pages
        after = page.next


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 100])
def test_pages_hold_each_request_once_newest_first(traffic: Traffic, limit: int) -> None:
    """Also those of the same moment; all pages but the last are full."""
    pages = all_pages(traffic, limit)
    found = [one for page in pages for one in page]
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == max(1, math.ceil(12 / limit))
    assert sorted(one.inference_id for one in found) == sorted(f"{v}{n}" for v in ("main", "new") for n in range(6))
    assert len({one.event_id for one in found}) == 12
    assert [one.time for one in found] == sorted((one.time for one in found), reverse=True)


def test_a_request_is_shown_whole(tmp_path: Path) -> None:
    """Its rows in their order, what was answered, and what was redacted."""
    predictor = Predictor(portable.classifier())
    blocks = blocks_of_rows(portable.CLASSIFIER, portable.ROWS[:2])
    traffic = Traffic(tmp_path / "traffic")
    writer = traffic.writer(
        Header("paid", "demo", 3, portable.CLASSIFIER, "new", {"town": "mask", "seen": "drop", "visits": "hash"})
    )
    writer.append([Invocation("abc", NOON_US, blocks, predictor.run(blocks))])
    writer.rotate()
    (one,) = capture_page(traffic, "paid").items
    assert (one.inference_id, one.variant, one.model, one.version) == ("abc", "new", "demo", 3)
    assert one.time == NOON
    assert one.redacted == {"town": "mask", "seen": "drop", "visits": "hash"}
    assert [(row["amount"], row["town"], len(row["visits"])) for row in one.inputs] == [
        (4.0, True, 32),
        (1.0, True, 32),
    ]
    assert "seen" not in one.inputs[0]
    assert [row["label"] for row in one.outputs] == ["yes", "yes"]
    assert [row["p_yes"] for row in one.outputs] == pytest.approx(portable.PROBABILITIES[:2])
    assert msgspec.json.decode(msgspec.json.encode(one))["event_id"] == one.event_id


def test_a_window_and_a_variant_are_looked_at_alone(traffic: Traffic) -> None:
    """The window is half open."""
    hour = timedelta(hours=1)
    page = capture_page(traffic, "price", start=NOON + hour, end=NOON + 2 * hour, variant="new")
    assert sorted(one.inference_id for one in page.items) == ["new2", "new3"]
    assert capture_page(traffic, "price", start=NOON + 9 * hour).items == ()
    assert capture_page(traffic, "other").items == ()


def test_captures_are_counted_by_what_answered(traffic: Traffic) -> None:
    """Requests and rows, and from when to when."""
    first, second = capture_summary(traffic, "price")
    assert (first.variant, second.variant) == ("main", "new")
    assert (first.model, first.version, first.requests, first.rows) == ("demo", 1, 6, 12)
    assert (first.first, first.last) == (NOON, NOON + timedelta(hours=2, microseconds=5))
    (alone, _) = capture_summary(traffic, "price", start=NOON + timedelta(hours=2))
    assert (alone.requests, alone.rows) == (2, 4)
    assert capture_summary(traffic, "other") == []


def test_a_value_that_json_does_not_know_does_not_break_a_page(tmp_path: Path) -> None:
    """Infinities are null."""
    traffic = Traffic(tmp_path / "traffic")
    writer = traffic.writer(HEADER)
    writer.append([invocation("a", amounts=(np.inf,))])
    writer.rotate()
    page = capture_page(traffic, "price")
    assert msgspec.json.decode(msgspec.json.encode(page))["items"][0]["inputs"][0]["amount"] is None


@pytest.mark.parametrize("after", ["", "x", "12", "12.", ".a", "-1.a", "²³.a", "9" * 30 + ".a"])
def test_a_page_after_one_that_there_never_was_is_refused(traffic: Traffic, after: str) -> None:
    """What `next` gave is always taken."""
    with pytest.raises(InputError, match=r"which no page gave. Take `next` of the page before, or leave it out"):
        capture_page(traffic, "price", after=after)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_has_bounds(traffic: Traffic, limit: int) -> None:
    """A page fits into memory."""
    with pytest.raises(InputError, match=f"The limit is {limit}. Use 1 to 1000"):
        capture_page(traffic, "price", limit=limit)

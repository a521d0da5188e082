"""Labels checked and kept, all or none."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from storage.boundary.faults import held
from storage.boundary.written_times import micros_of_datetime
from storage.errors import InputError
from storage.instants import minute_of
from storage.labels.items import LabelItem, NewLabel
from storage.labels.truths import Truths
from storage.signature import Signature

if TYPE_CHECKING:
    from storage.store import Store

_MOST_ID = 256
_FIRST_US = micros_of_datetime(datetime.min)  # noqa: DTZ901 - without a zone
MOST_ROW = 2**31 - 1

#: What is to be done about a row that is none.
ROW_REMEDY = f"Count the rows of a request, from 0 to {MOST_ROW:,}."

#: Clocks of others may be so far ahead of ours.
AHEAD = timedelta(minutes=5)
_AHEAD_US = AHEAD // timedelta(microseconds=1)


class Received(Struct, frozen=True):
    """What became of labels.

    labels: how many there were. new, same, replaced: sum to it. unknown: of rows that are not among the captured ones,
    or not yet; they are kept all the same. None if nobody looked, or could. unknown_ids: inference ids of the
    first of them.
    """

    labels: int
    new: int
    same: int
    replaced: int
    unknown: int | None = None
    unknown_ids: tuple[str, ...] = ()


def put_labels(
    store: "Store", name: str, items: Sequence[LabelItem], now: datetime, *, replace: bool = False, look: bool = True
) -> Received:
    """Keep labels of an endpoint, all or none.

    look: whether to look for their rows in captured traffic, which reads Parquet files.

    Raises UnknownNameError for the endpoint, InputError for a label that is no class of the model or no finite number,
    for an id that cannot be one, for a time that is yet to come, and for two labels of one row; ConflictError for a row
    that has another label already, unless `replace` is set. Each names the first place.
    """
    checked = check_labels(signature_of(store, name), items, now, "labels[{}].{}".format)
    counts = store.labels.put(name, checked, now, replace=replace)
    if not look:
        return Received(len(items), *counts)
    from storage.labels.joined import keys_of, looked_up

    unknown, ids = looked_up(store, name, keys_of(items), now)
    return Received(len(items), *counts, unknown, ids)


def signature_of(store: "Store", name: str) -> Signature:
    """What an endpoint predicts: all of its variants answer alike. Raises UnknownNameError."""
    return store.models.get(store.endpoints.get(name).main.spec).signature


def check_labels(
    signature: Signature, items: Iterable[LabelItem], now: datetime, place: Callable[[int, str], str]
) -> Iterator[NewLabel]:
    """Labels as they are kept. place: names a field of the item of a number, in messages. Raises InputError for the
    first one that cannot be kept. One may have been known before its row was answered."""
    truths, now_us = Truths(signature), micros_of_datetime(now)
    for number, item in enumerate(items):
        label = truths.read(item.label)
        if label is None:
            raise InputError(
                f"{place(number, 'label')} is {held(item.label, sensitive=False)}, which is no value of "
                f"{signature.target!r}. {truths.remedy}"
            )
        _check_key(item, number, place)
        at = item.happened_at
        happened_us = now_us if at is None else micros_of_datetime(at)
        if happened_us < _FIRST_US:
            raise InputError(f"{place(number, 'happened_at')} is {at}. Send a time of the year 1 or later, in UTC.")
        if happened_us - now_us > _AHEAD_US:
            raise InputError(
                f"{place(number, 'happened_at')} is {at}, which is yet to come: it is {minute_of(now)}. Send "
                "when the label came to be known, with its zone, or leave it out."
            )
        yield NewLabel(item.inference_id, item.row, label, happened_us)


def _check_key(item: LabelItem, number: int, place: Callable[[int, str], str]) -> None:
    if not 1 <= len(item.inference_id) <= _MOST_ID:
        raise InputError(
            f"{place(number, 'inference_id')} has {len(item.inference_id):,} characters. Send the id of an answer, "
            f"which has 1 to {_MOST_ID}."
        )
    if not 0 <= item.row <= MOST_ROW:
        raise InputError(f"{place(number, 'row')} is {item.row}. {ROW_REMEDY}")

"""Labels are kept all or none, said once, and joined with the rows that they are of."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy import stats
from sklearn import metrics as oracle

from storage import ConflictError, DataError, InputError, Signature, Store, UnknownNameError
from storage import quality as quality_module
from storage.batch import chunks
from storage.boundary import blocks_of_rows
from storage.labels import LabelItem, Received, items_of, put_labels
from storage.labels.files import LabelColumns, put_file
from storage.labels.items import NewLabel
from storage.labels.joined import label_summary, labelled_traffic
from storage.labels.truths import Truths
from storage.predictor import Outputs
from storage.quality import Quality
from tests import portable, processes
from tests.captured import NOON, NOON_US, ask, capture
from tests.refusals import raises

NOW = datetime(2024, 5, 2, 8, tzinfo=UTC)
LONG_AGO, FAR_AHEAD = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def answered(store: Store) -> Store:
    """A store whose endpoint `paid` has answered requests `a` with four rows and `b` with one, and `price` another."""
    version = portable.publish(store, portable.classifier(), endpoint="paid")
    ask(store, "paid", version, {"a": portable.ROWS, "b": portable.ROWS[:1]})
    version = portable.publish(store, portable.regressor(), name="price", endpoint="price")
    ask(store, "price", version, {"c": portable.ROWS})
    return store


@pytest.fixture
def paid(store: Store) -> Store:
    """Such a store."""
    return answered(store)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Such a store, for labels that are refused."""
    store = answered(Store.open(tmp_path_factory.mktemp("unlabelled")))
    yield store
    store.close()


def put(store: Store, *items: LabelItem, endpoint: str = "paid", **options: Any) -> Received:
    """Labels received at NOW."""
    return put_labels(store, endpoint, items, NOW, **options)


def told(store: Store, endpoint: str = "paid") -> dict[tuple[str, int], Any]:
    """All labels that are kept."""
    return {(label.inference_id, label.row): label.label for label in store.labels.list(endpoint, limit=10**6)}


# ------------------------------------------------------------------------------------------------------ what is kept


def test_the_same_label_again_is_no_change(paid: Store) -> None:
    """Nor is it within one call; the first time it was told stays."""
    items = [LabelItem("a", "yes", 0, NOON), LabelItem("a", "no", 1)]
    assert put(paid, *items) == Received(2, new=2, same=0, replaced=0, unknown=0)
    again = [LabelItem("a", "yes", 0), LabelItem("b", "no"), LabelItem("b", "no")]
    assert put(paid, *again) == Received(3, new=1, same=2, replaced=0, unknown=0)
    assert [(one.happened_at, one.received_at) for one in paid.labels.list("paid")] == [
        (NOON, NOW),
        (NOW, NOW),
        (NOW, NOW),
    ]
    assert paid.labels.count("paid") == 3


def test_a_label_may_have_been_known_before_its_row_was_answered(paid: Store) -> None:
    """And by a clock that is five minutes ahead of ours."""
    times = [NOON - timedelta(days=400), NOW + timedelta(minutes=5)]
    put(paid, *(LabelItem("a", "yes", row, at) for row, at in enumerate(times)))
    assert [one.happened_at for one in paid.labels.list("paid")] == times


def test_another_label_is_refused_unless_it_is_to_replace(paid: Store) -> None:
    """The first conflict is named, and nothing of the call is kept."""
    put(paid, LabelItem("a", "yes", 1), LabelItem("a", "yes", 3))
    items = [LabelItem("b", "no"), LabelItem("a", "no", 3), LabelItem("a", "no", 1)]
    with raises(ConflictError, """Row 3 of inference 'a' has the label "yes", and "no" was sent."""):
        put(paid, *items)
    assert told(paid) == {("a", 1): "yes", ("a", 3): "yes"}
    assert put(paid, *items, replace=True) == Received(3, new=1, same=0, replaced=2, unknown=0)
    assert told(paid) == {("a", 1): "no", ("a", 3): "no", ("b", 0): "no"}


@pytest.mark.parametrize("replace", [False, True])
def test_two_labels_of_one_row_in_a_call_are_refused(unlabelled: Store, replace: bool) -> None:
    """Replacing would leave it to chance which of them holds."""
    with raises(InputError, """Row 2 of inference 'a' is labelled twice, "yes" and "no"."""):
        put(unlabelled, LabelItem("b", "no"), LabelItem("a", "yes", 2), LabelItem("a", "no", 2), replace=replace)
    assert told(unlabelled) == {}


def test_labels_of_rows_that_are_not_captured_are_kept_and_counted(paid: Store) -> None:
    """Traffic may come later; many of them mean a wrong id."""
    items = [LabelItem("a", "yes", 4), LabelItem("späť", "no"), LabelItem("a", "yes", 0), LabelItem("späť", "no", 9)]
    assert put(paid, *items) == Received(4, 4, 0, 0, unknown=3, unknown_ids=("a", "späť"))
    assert put(paid, LabelItem("z", "no"), look=False).unknown is None
    version = paid.models.get("demo")
    ask(paid, "paid", version, {"späť": portable.ROWS}, start_us=NOON_US + 3_600_000_000)
    assert put(paid, *items) == Received(4, 0, 4, 0, unknown=2, unknown_ids=("a", "späť"))


IDS = st.text(min_size=1, max_size=3) | st.sampled_from(["a", "'", '"', "\0", "a\0b", "東京", "%", "_", " "])
ITEMS = st.lists(st.builds(LabelItem, IDS, st.sampled_from(["yes", "no"]), st.integers(0, 2)), max_size=6)


def test_labels_are_kept_where_traffic_cannot_be_read(paid: Store) -> None:
    """And nothing is told of rows that nobody could look for."""
    folder = paid.root / "traffic" / "parquet"
    if folder.exists():
        folder.rename(folder.with_name("moved"))
    folder.write_text("A file where the folder was.")
    assert put(paid, LabelItem("a", "yes")).unknown is None
    assert ("a", 0) in told(paid)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store for examples that each have an endpoint of their own."""
    store = Store.open(tmp_path_factory.mktemp("labels"))
    portable.publish(store, portable.classifier())
    yield store
    store.close()


@given(calls=st.lists(st.tuples(ITEMS, st.booleans()), max_size=4))
@settings(max_examples=60)
def test_calls_do_what_a_dictionary_does(shared: Store, calls: list[Any]) -> None:
    """Whatever the ids: the oracle keeps a call whole or not at all."""
    endpoint = shared.endpoints.deploy(f"e{len(shared.endpoints.list())}", shared.models.get("demo"), NOW).name
    kept: dict[tuple[str, int], Any] = {}
    for items, replaces in calls:
        keys = {(item.inference_id, item.row): item.label for item in items}
        is_twice = any(keys[item.inference_id, item.row] != item.label for item in items)
        differ = sum(key in kept and kept[key] != label for key, label in keys.items())
        if is_twice or (differ and not replaces):
            with pytest.raises(InputError):
                put(shared, *items, endpoint=endpoint, replace=replaces, look=False)
        else:
            new = len(keys.keys() - kept.keys())
            found = put(shared, *items, endpoint=endpoint, replace=replaces, look=False)
            assert found == Received(len(items), new, len(items) - new - differ, differ)
            kept |= keys
        assert told(shared, endpoint) == kept


def test_labels_are_listed_by_id_and_row_and_gone_on_with(paid: Store) -> None:
    """Each once, whatever the page's length; of one id if that is asked."""
    put(paid, *(LabelItem(name, "yes", row) for name in "cab" for row in (1, 0)))
    pages, after = list[tuple[str, int]](), None
    while page := paid.labels.list("paid", limit=4, after=after):
        pages += [(label.inference_id, label.row) for label in page]
        after = pages[-1]
    assert pages == [(name, row) for name in "abc" for row in (0, 1)]
    assert [label.row for label in paid.labels.list("paid", inference_id="b")] == [0, 1]
    assert paid.labels.list("price") == []
    with raises(InputError, "The limit is 0. Use 1 or more."):
        paid.labels.list("paid", limit=0)


AT_ONCE = """
import sys
from datetime import UTC, datetime
from storage import Store
from storage.labels import LabelItem, put_labels
store = Store.open(sys.argv[1])
items = [LabelItem(f"x{n}", "yes") for n in range(3000)]
input("ready\\n")
found = put_labels(store, "paid", items, datetime.now(UTC), look=False)
print(found.new, found.same)
"""


def test_two_processes_that_send_the_same_labels_keep_them_once(paid: Store) -> None:
    """One finds them new, the other there already."""
    assert sorted(processes.run_at_once(AT_ONCE, paid.root)) == ["0 3000\n", "3000 0\n"]


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from storage import Store
from storage.labels.items import NewLabel
def items():
    yield from (NewLabel(f"x{n}", 0, "yes", 0) for n in range(25_000))
    os.kill(os.getpid(), signal.SIGKILL)
Store.open(sys.argv[1]).labels.put("paid", items(), datetime.now(UTC))
"""


def test_a_killed_call_leaves_nothing(paid: Store) -> None:
    """Whole or not at all, however many there were before."""
    processes.run(KILLED, paid.root, returncode=-9)
    assert paid.labels.count("paid") == 0
    assert put(paid, LabelItem("a", "yes")).new == 1


# ------------------------------------------------------------------------------------------------- what a label says


@pytest.mark.parametrize(
    ("classes", "given", "meant"),
    [
        (("no", "yes"), ["yes", "Yes", "yes ", 1, True, ""], ["yes", None, None, None, None, None]),
        ((0, 1), [1, "1", 1.0, "1.0", True, 2, "x"], [1, 1, 1, 1, None, None, None]),
        (("0", "1"), [1, "1", 1.0, "1.0", 0.5], ["1", "1", "1", "1", None]),
        (("false", "true"), [True, "true", "True", 1], ["true", "true", None, None]),
        ((), [3, "3", " 2.5e1 ", -0.0, True, "x", 10**400, "1_0"], [3.0, 3.0, 25.0, 0.0, None, None, None, None]),
        ((), [float("nan"), float("inf"), "-inf", "nan", ""], [None] * 5),
    ],
)
def test_a_label_means_the_class_or_number_that_it_shows(
    classes: tuple[Any, ...], given: list[Any], meant: list[Any]
) -> None:
    """Whichever way it is written; and the type is the class's."""
    truths = Truths(Signature("binary" if classes else "regression", "y", (), classes=classes))
    found = [truths.read(value) for value in given]
    assert list(map(repr, found)) == list(map(repr, meant))


@pytest.mark.parametrize(
    ("endpoint", "item", "message"),
    [
        (
            "paid",
            LabelItem("a", "maybe"),
            "labels[1].label is 'maybe', which is no value of 'paid'. Send one of 'no', ",
        ),
        ("paid", LabelItem("a", "x" * 10**7), "labels[1].label is 'xxxxx"),
        ("paid", LabelItem("a", 3), "labels[1].label is 3, which is no value of 'paid'."),
        ("price", LabelItem("a", "9" * 10**7), "labels[1].label is '99999"),
        (
            "price",
            LabelItem("a", float("nan")),
            "labels[1].label is nan, which is no value of 'price'. Send a finite nu",
        ),
        ("paid", LabelItem("", "yes"), "labels[1].inference_id has 0 characters. Send the id of an answer"),
        ("paid", LabelItem("é" * 257, "yes"), "labels[1].inference_id has 257 characters."),
        (
            "paid",
            LabelItem("a", "yes", 0, NOW + timedelta(minutes=5, microseconds=1)),
            "labels[1].happened_at is 2024-05-02 08:05:00.000001+00:00, which is yet to come: it is 2024-05-02 08:00 "
            "UTC. Send when the label came to be known, with its zone, or leave it out.",
        ),
        ("paid", LabelItem("a", "yes", 0, datetime(2035, 1, 1)), "labels[1].happened_at is 2035-01-01 00:00:00, which"),  # noqa: DTZ001 - as clients send it
        (
            "paid",
            LabelItem("a", "yes", -1),
            "labels[1].row is -1. Count the rows of a request, from 0 to 2,147,483,647.",
        ),
        ("paid", LabelItem("a", "yes", 2**63), "labels[1].row is 9223372036854775808. Count the rows"),
    ],
)
def test_what_cannot_be_a_label_is_refused_with_its_place(
    unlabelled: Store, endpoint: str, item: LabelItem, message: str
) -> None:
    """And the sound ones before it are not kept."""
    sound = LabelItem("a", "yes" if endpoint == "paid" else 1.0)
    with raises(InputError, message) as refused:
        put(unlabelled, sound, item, endpoint=endpoint)
    assert len(str(refused.value)) < 300
    assert told(unlabelled, endpoint) == {}


def test_labels_of_an_endpoint_that_there_is_not_are_refused(unlabelled: Store) -> None:
    """By its name."""
    with raises(UnknownNameError, "The store has no endpoint 'other'."):
        put(unlabelled, LabelItem("a", "yes"), endpoint="other")


# ------------------------------------------------------------------------------------------------------------ bodies


def truth(data: str, encoding: str = "CSV", name: str = "a") -> str:
    """A line of SageMaker's ground truth."""
    return json.dumps(
        {
            "groundTruthData": {"data": data, "encoding": encoding},
            "eventMetadata": {"eventId": name},
            "eventVersion": "0",
        }
    )


@pytest.mark.parametrize(
    ("data", "encoding", "labels"),
    [
        ("1", "CSV", ["1"]),
        ("yes\nno\n", "CSV", ["yes", "no"]),
        ('"a, b"', "CSV", ["a, b"]),
        ("[1, 0.5, true]", "JSON", [1, 0.5, True]),
        ('"yes"', "JSON", ["yes"]),
        (base64.b64encode(b"yes").decode(), "BASE64", ["yes"]),
    ],
)
def test_sagemakers_ground_truth_is_read_in_each_of_its_encodings(data: str, encoding: str, labels: list[Any]) -> None:
    """A label for each row of the request."""
    body = truth(data, encoding).encode() + b"\n\n"
    assert items_of(body, "application/jsonlines") == [LabelItem("a", label, row) for row, label in enumerate(labels)]


def test_a_body_is_a_list_an_object_or_lines() -> None:
    """With all fields, or those that are needed; lines may be of both kinds."""
    item = {"inference_id": "ä", "label": "yes", "row": 2, "happened_at": "2024-05-01T14:00:00+02:00"}
    (found,) = items_of(json.dumps({"labels": [item]}).encode())
    assert found == LabelItem("ä", "yes", 2, NOON)
    assert items_of(json.dumps([item]).encode()) == [found]
    lines = f"{json.dumps(item)}\n{truth('no')}\n".encode()
    assert items_of(lines, "application/x-ndjson") == [found, LabelItem("a", "no")]
    assert items_of(b"[]") == []


def test_a_csv_body_has_a_header_and_is_kept_as_it_is_written() -> None:
    """A code is no number; an empty cell is one that is left out."""
    body = b"\xef\xbb\xbflabel,inference_id,row,happened_at\r\n007,a,2,2024-05-01T12:00:00Z\r\ntrue,b,,\r\n"
    assert items_of(body, "text/csv") == [LabelItem("a", "007", 2, NOON), LabelItem("b", "true")]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", "application/json", "The body holds no labels: Input data was truncated."),
        (b'[{"inference_id": "a"}]', "application/json", "missing required field `label` - at `$[0]`"),
        (b'[{"inference_id": "a", "label": null}]', "application/json", "got `null` - at `$[0].label`"),
        (b'[{"inference_id": "a", "label": "y", "rows": 1}]', "application/json", "unknown field `rows` - at `$[0]`"),
        (
            b'[{"inference_id": 5, "label": "y"}]',
            "application/json",
            "Expected `str`, got `int` - at `$[0].inference_id`",
        ),
        (b'[{"inference_id": "\\ud800", "label": "y"}]', "application/json", "The body holds no labels: "),
        (b'[{"inference_id": "\xff", "label": "y"}]', "application/json", "The body holds no labels: "),
        (b"[" * 100_000, "application/json", "The body holds no labels: "),
        (
            b'{"inference_id": "a", "label": 1}\n{"inf',
            "application/jsonlines",
            "Line 2 holds no label: Input data was ",
        ),
        (truth("1,2").encode(), "application/jsonlines", "Line 1 holds no label: its data has not one label a line"),
        (truth("").encode(), "application/jsonlines", "its data has not one label a line"),
        (truth("x", "XML").encode(), "application/jsonlines", "its encoding is 'XML', which is none of CSV, JSON and"),
        (truth("%%", "BASE64").encode(), "application/jsonlines", "its data is no text in BASE64"),
        (truth("{}", "JSON").encode(), "application/jsonlines", "Line 1 holds no label: Expected "),
        (
            truth("x" * 10**7).encode(),
            "application/jsonlines",
            "Line 1 holds no label: its data is no csv: field larger",
        ),
        (
            b"id,label\na,yes\n",
            "text/csv",
            "The csv has the header ['id', 'label']. It has to name inference_id and lab",
        ),
        (b"inference_id,label\na\n", "text/csv", "Line 2 of the csv has 1 cells, and its header 2."),
        (b'inference_id,label\n"a,yes\n', "text/csv", "The body is no csv: unexpected end of data."),
        (b'{"groundTruthData": {"data": "1"}}', "application/jsonlines", "missing required field `eventMetadata`"),
    ],
)
def test_a_body_without_labels_is_refused_with_its_place(body: bytes, kind: str, message: str) -> None:
    """Each of them the client can mend."""
    with raises(InputError, message) as refused:
        items_of(body, kind)
    assert len(str(refused.value)) < 700


# ------------------------------------------------------------------------------------------------------------- files


TRUE = pl.DataFrame(
    {
        "inference_id": ["a", "a", "b", "späť"],
        "label": ["yes", "no", "yes", "no"],
        "row": [0, 3, 0, 0],
        "happened_at": ["2024-05-01", "2024-05-01T14:00:00+02:00", None, "2024-05-01 12:00"],
    }
)
WRITERS = {"csv": "write_csv", "parquet": "write_parquet", "ndjson": "write_ndjson", "arrow": "write_ipc"}


@pytest.mark.parametrize("form", WRITERS)
def test_a_file_is_kept_whichever_its_format(paid: Store, tmp_path: Path, form: str) -> None:
    """Times with a zone or without; the row and the time may be lacking."""
    getattr(TRUE, WRITERS[form])(tmp_path / f"t.{form}")
    found = put_file(paid, "paid", str(tmp_path / f"t.{form}"), NOW)
    assert found == Received(4, 4, 0, 0, unknown=1, unknown_ids=("späť",))
    midnight = datetime(2024, 5, 1, tzinfo=UTC)
    kept = [(one.inference_id, one.row, one.label, one.happened_at) for one in paid.labels.list("paid")]
    assert kept == [("a", 0, "yes", midnight), ("a", 3, "no", NOON), ("b", 0, "yes", NOW), ("späť", 0, "no", NOON)]
    assert put_file(paid, "paid", str(tmp_path / f"t.{form}"), NOW).same == 4


def test_columns_may_have_other_names(paid: Store, tmp_path: Path) -> None:
    """Ids may be numbers; those of exported traffic are known."""
    frame = pl.DataFrame({"order": [7, 8], "Paid?": ["yes", "no"], "line": ["0", "1.0"]})
    frame.write_parquet(tmp_path / "t.parquet")
    columns = LabelColumns("Paid?", "order", "line")
    put_file(paid, "paid", str(tmp_path / "t.parquet"), NOW, columns=columns)
    assert told(paid) == {("7", 0): "yes", ("8", 1): "no"}
    traffic = paid.traffic.read("paid", LONG_AGO, FAR_AHEAD).drop("autopilot.label").with_columns(label=pl.lit("yes"))
    traffic.write_parquet(tmp_path / "e.parquet")
    assert put_file(paid, "paid", str(tmp_path / "e.parquet"), NOW) == Received(5, 5, 0, 0, unknown=0)


def test_files_of_a_folder_and_sagemakers_are_kept_together(paid: Store, tmp_path: Path) -> None:
    """In the folders by hour that its merge jobs read."""
    for hour, name, data in (("01", "a", "yes\nno"), ("02", "b", "no")):
        path = tmp_path / "truth" / "2024" / "05" / "01" / hour / "x.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(truth(data, name=name) + "\n")
    assert put_file(paid, "paid", str(tmp_path / "truth"), NOW).new == 3
    assert told(paid) == {("a", 0): "yes", ("a", 1): "no", ("b", 0): "no"}


def test_a_long_file_is_read_in_chunks_and_tells_how_far_it_is(
    paid: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a label that is there twice is found across them."""
    monkeypatch.setattr(chunks, "_BLOCK_BYTES", 4_000)
    lines = [f"x{number},yes" for number in range(3_000)]
    (tmp_path / "t.csv").write_text("\n".join(["inference_id,label", *lines, "x5,yes"]))
    shares: list[float] = []
    found = put_file(paid, "paid", str(tmp_path / "t.csv"), NOW, observe=lambda progress: shares.append(progress.share))
    assert (found.labels, found.new, found.same, found.unknown) == (3_001, 3_000, 1, 3_000)
    assert len(shares) > 5
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    (tmp_path / "t.csv").write_text("\n".join(["inference_id,label", "y,yes", *lines, "x5,no"]))
    with raises(InputError, "Row 0 of inference 'x5' is labelled twice"):
        put_file(paid, "paid", str(tmp_path / "t.csv"), NOW)
    assert paid.labels.count("paid") == 3_000


HEAD = "inference_id,label,row,happened_at\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty. Give a file with a header and rows."),
        (f"{HEAD}a,yes,0,\nb,yes\nc,no,0,\n", "Row 1 of '{}' is broken. It has 2 cells, and the header has 4."),
        (f"{HEAD}a,yes,0,\na,later,1,\n", "Column 'label' in row 1 of '{}' is 'later', which is no value of 'paid'."),
        (f"{HEAD}a,yes,0,\na,,1,\n", "Column 'label' in row 1 of '{}' is empty. Leave out rows whose outcome"),
        (f"{HEAD},yes,0,\n", "Column 'inference_id' in row 0 of '{}' is empty. Leave out rows without an id."),
        (
            f"{HEAD}a,yes,first,\n",
            "Column 'row' in row 0 of '{}' is 'first'. Count the rows of a request, from 0 to 2,147,483,647.",
        ),
        (f"{HEAD}a,yes,1e30,\n", "Column 'row' in row 0 of '{}' is '1e30'. Count the rows of a request, from 0"),
        (f"{HEAD}a,yes,{10**30},\n", f"Column 'row' in row 0 of '{{}}' is '{10**30}'. Count the rows"),
        (
            f"{HEAD}a,yes,-1,\n",
            "Column 'row' in row 0 of '{}' is '-1'. Count the rows of a request, from 0 to 2,147,483,647.",
        ),
        (f"{HEAD}a,yes,0,soon\n", "Column 'happened_at' in row 0 of '{}' is 'soon'. Write 2024-05-01T13:30:00Z."),
        (
            f"{HEAD}a,yes,0,2035-01-01\n",
            "Column 'happened_at' in row 0 of '{}' is 2035-01-01 00:00:00+00:00, which is yet",
        ),
        ("id,label\na,yes\n", "'{}' has no column 'inference_id'. It has 'id', 'label'. Name the right one."),
        ("inference_id,outcome\na,yes\n", "'{}' has no column 'label'. It has 'inference_id', 'outcome'."),
        (f"{HEAD}a,{'x' * 10**7},0,\n", "Column 'label' in row 0 of '{}' is 'xxxxx"),
    ],
)
def test_a_file_that_is_wrong_anywhere_is_refused_as_a_whole(
    unlabelled: Store, tmp_path: Path, text: str, message: str
) -> None:
    """With the row, the column and the value."""
    path = tmp_path / "t.csv"
    path.write_text(text)
    with raises(InputError, message.format(path)) as refused:
        put_file(unlabelled, "paid", str(path), NOW)
    assert len(str(refused.value)) < 400
    assert told(unlabelled) == {}


def test_a_file_that_was_cut_off_and_one_of_sagemakers_that_is_broken_keep_nothing(
    unlabelled: Store, tmp_path: Path
) -> None:
    """Whatever was read of them before."""
    TRUE.write_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "t.jsonl").write_text(f"{truth('yes')}\n{truth('1,2')}\n")
    (tmp_path / "u.jsonl").write_text(f"{truth('yes')}\n{{broken\n")
    for name, message in (
        ("t.parquet", "cannot be read"),
        ("t.jsonl", "Row 1 of"),
        ("u.jsonl", "is broken. It is no JSON object"),
        ("none.csv", "There is no file"),
    ):
        with raises(DataError, message):
            put_file(unlabelled, "paid", str(tmp_path / name), NOW)
    assert told(unlabelled) == {}


def test_a_file_without_rows_holds_no_labels(unlabelled: Store, tmp_path: Path) -> None:
    """Which is nobody's mistake."""
    (tmp_path / "t.csv").write_text(HEAD)
    assert put_file(unlabelled, "paid", str(tmp_path / "t.csv"), NOW) == Received(0, 0, 0, 0, unknown=0)


# ------------------------------------------------------------------------------------------------- traffic with labels


def test_traffic_is_joined_with_its_labels(paid: Store) -> None:
    """Rows without one are there too; a label is of each request that a client gave its id."""
    put(paid, LabelItem("a", "no", 1, NOON), LabelItem("b", "yes"), LabelItem("gone", "yes"))
    ask(paid, "paid", paid.models.get("demo"), {"b": portable.ROWS[1:2]}, start_us=NOON_US + 60_000_000)
    frame = labelled_traffic(paid, "paid", NOON, NOON + timedelta(hours=1))
    names = ("autopilot.inference_id", "autopilot.row", "autopilot.truth", "autopilot.happened_at")
    assert frame.select(names).rows() == [
        ("a", 0, None, None),
        ("a", 1, "no", NOON),
        ("a", 2, None, None),
        ("a", 3, None, None),
        ("b", 0, "yes", NOW),
        ("b", 0, "yes", NOW),
    ]
    assert frame.columns[:-3] == paid.traffic.read("paid", NOON, NOON + timedelta(hours=1)).columns
    assert labelled_traffic(paid, "paid", NOON + timedelta(days=1), FAR_AHEAD).height == 0


@pytest.mark.parametrize(
    ("classes", "label", "dtype"), [((0, 1), "1", pl.Int64), (('say "é"', "\0"), 'say "é"', pl.String)]
)
def test_a_truth_has_the_type_of_what_was_predicted(
    store: Store, classes: tuple[Any, ...], label: Any, dtype: Any
) -> None:
    """Whole numbers, and text of any kind."""
    signature = replace(portable.CLASSIFIER, classes=classes)
    version = portable.publish(store, portable.classifier())
    answers = Outputs(np.array([classes[0]], dtype=object), np.array([[0.5, 0.5]], np.float32), None)
    blocks = blocks_of_rows(signature, portable.ROWS[:1])
    capture(store, "e", replace(version, signature=signature), [("x", blocks, answers)])
    told_by = Truths(signature).read(label)
    assert told_by is not None
    store.labels.put("e", [NewLabel("x", 0, told_by, 0)], NOW)
    frame = labelled_traffic(store, "e", LONG_AGO, FAR_AHEAD)
    assert frame.schema["autopilot.truth"] == dtype
    assert frame.get_column("autopilot.truth").to_list() == [told_by]


def test_a_summary_tells_how_good_answers_were(paid: Store) -> None:
    """By version and in a window; figures as scikit-learn has them."""
    labels = ["yes", "no", "no", "yes"]
    put(paid, *(LabelItem("a", label, row) for row, label in enumerate(labels)), LabelItem("c", "yes"))
    found = label_summary(paid, "paid")
    (version,) = found.versions
    assert (found.labels, version.model, version.version, version.rows) == (5, "demo", 1, 4)
    y, p = [label == "yes" for label in labels], list(portable.PROBABILITIES)
    assert {value.metric: value.value for value in version.metrics} == pytest.approx(
        {
            "roc_auc": oracle.roc_auc_score(y, p),
            "accuracy": oracle.accuracy_score(y, [share >= 0.5 for share in p]),
            "log_loss": oracle.log_loss(y, p),
        },
        abs=1e-7,
    )
    ends = {value.metric: (value.low, value.high) for value in version.metrics}
    right = sum((share >= 0.5) == one for share, one in zip(p, y, strict=True))
    wilson = stats.binomtest(right, 4).proportion_ci(method="wilson")
    assert ends["accuracy"] == pytest.approx((wilson.low, wilson.high))
    assert all(low >= 0 for low, _ in ends.values())
    assert ends["roc_auc"][1] <= 1
    assert label_summary(paid, "paid", NOON + timedelta(hours=1)).versions == ()
    put(paid, *(LabelItem("c", score + 2, row) for row, score in enumerate(portable.SCORES)), endpoint="price")
    (version,) = label_summary(paid, "price").versions
    assert [(value.metric, value.value) for value in version.metrics] == [("rmse", 2.0), ("mae", 2.0)]


# ----------------------------------------------------------------------------------------------------------- quality


@given(data=st.data())
@settings(max_examples=40)
def test_areas_and_their_interval_are_those_of_all_pairs(data: st.DataObject) -> None:
    """The definition, pair by pair, with ties; the covariance by the formula of DeLong et al."""
    rows = data.draw(st.integers(4, 12))
    y = data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows).filter(lambda y: 2 <= sum(y) <= len(y) - 2))
    share = st.sampled_from([0.0, 0.25, 0.5, 0.75])
    sides = [np.array(data.draw(st.lists(share, min_size=rows, max_size=rows)), np.float32) for _ in range(2)]
    quality = Quality(portable.CLASSIFIER, sides=2)
    for part in (slice(0, 2), slice(2, None)):
        answers = [
            Outputs(np.array(["no"] * len(side[part]), object), np.column_stack([1 - side[part], side[part]]), None)
            for side in sides
        ]
        quality.add(pl.Series(["yes" if one else "no" for one in y[part]]), *answers)
    pair = next(pair for pair in quality.pairs() if pair.metric == "roc_auc")
    wins = [
        np.array([[(a > b) + (a == b) / 2 for b, no in zip(side, y, strict=True) if not no]
                  for a, yes in zip(side, y, strict=True) if yes])
        for side in sides
    ]  # fmt: skip
    assert (pair.old, pair.new) == pytest.approx([win.mean() for win in wins])
    apart = wins[1] - wins[0]
    variance = sum(apart.mean(axis=axis).var(ddof=1) / apart.shape[1 - axis] for axis in (0, 1))
    assert pair.high - pair.difference == pytest.approx(1.959964 * np.sqrt(variance), abs=1e-6)


def test_intervals_hold_what_they_are_to_hold() -> None:
    """Of 400 comparisons of two models that are equally good, 95 % have 0 inside; of one, the true value."""
    random = np.random.default_rng(5)
    inside = {"roc_auc": 0, "accuracy": 0, "log_loss": 0, "rmse": 0, "mae": 0}
    for _ in range(400):
        truth = random.random(200)
        y = random.random(200) < truth
        shares = [np.clip(truth + random.normal(0, 0.1, 200), 0.01, 0.99).astype(np.float32) for _ in range(2)]
        classes = Quality(portable.CLASSIFIER, sides=2)
        labels = [np.where(share >= 0.5, "yes", "no").astype(object) for share in shares]
        answers = [Outputs(label, np.column_stack([1 - s, s]), None) for label, s in zip(labels, shares, strict=True)]
        classes.add(pl.Series(np.where(y, "yes", "no")), *answers)
        numbers = Quality(portable.REGRESSOR, sides=2)
        values = [Outputs(None, None, truth + random.normal(0, 1, 200)) for _ in range(2)]
        numbers.add(pl.Series(truth), *values)
        for pair in (*classes.pairs(), *numbers.pairs()):
            inside[pair.metric] += pair.low <= 0 <= pair.high
    assert all(362 <= count <= 396 for count in inside.values()), inside  # 380 ± 4 standard errors


def test_the_area_of_many_rows_is_of_a_sample_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Near that of all, whatever their order, with an interval as wide as the sample makes it."""
    monkeypatch.setattr(quality_module, "_MOST_RANKED", 2_000)
    truth = np.linspace(0, 1, 10_000)
    y = np.random.default_rng(2).random(10_000) < truth
    quality = Quality(portable.CLASSIFIER)
    for start in range(0, 10_000, 700):
        share, label = truth[start : start + 700].astype(np.float32), np.where(y[start : start + 700], "yes", "no")
        quality.add(pl.Series(label), Outputs(label.astype(object), np.column_stack([1 - share, share]), None))
    area = next(value for value in quality.values() if value.metric == "roc_auc")
    assert area.value == pytest.approx(oracle.roc_auc_score(y, truth), abs=0.03)
    assert area.high - area.low == pytest.approx(2 * 1.96 * 0.0091, rel=0.15)  # Hanley and McNeil, 1,000 of each
    assert quality.rows == 10_000


@given(data=st.data())
def test_metrics_of_many_classes_and_of_numbers_are_scikit_learns(data: st.DataObject) -> None:
    """Rows in any pieces; labels that are no class count for nothing."""
    signature = replace(portable.CLASSIFIER, task="multiclass", classes=(1, 2, 3))
    rows = data.draw(st.lists(st.tuples(st.sampled_from([1, 2, 3, 9]), st.integers(0, 2)), min_size=1, max_size=8))
    table = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.25, 0.25, 0.5]], np.float32)
    quality = Quality(signature)
    for y, kind in rows:
        quality.add(pl.Series([y]), Outputs(np.array([kind + 1], object), table[[kind]], None))
    known = [(y, kind) for y, kind in rows if y != 9]
    assert quality.rows == len(known)
    found = {value.metric: value.value for value in quality.values()}
    if known:
        y, kinds = zip(*known, strict=True)
        loss = oracle.log_loss(y, table[list(kinds)], labels=[1, 2, 3])
        right = oracle.accuracy_score(y, [kind + 1 for kind in kinds])
        assert found == pytest.approx({"accuracy": right, "log_loss": loss}, abs=1e-6)
    else:
        assert found == {}

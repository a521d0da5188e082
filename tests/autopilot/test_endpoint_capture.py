"""What is captured is changed from the command line, whole or not at all."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from autopilot.cli import app
from autopilot.endpoint_capture import CaptureChange, change_capture
from storage import InputError, SettingError, Store, UnknownNameError
from storage.instants import instant_of
from storage.records import CapturePolicy
from tests import portable

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """With an endpoint."""
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.classifier(), endpoint="paid")
    yield store
    store.close()


def test_what_is_not_named_stays(store: Store) -> None:
    """Each change adds to those before, and makes a revision."""
    for change in (
        CaptureChange(share=0.25, redact=("town=hash",)),
        CaptureChange(mode="sync"),
        CaptureChange(redact=("amount=drop", "seen=mask")),
        CaptureChange(redact=("town=keep", "amount=mask")),
    ):
        change_capture(store, "paid", change, NOW)
    endpoint = store.endpoints.get("paid")
    assert endpoint.capture == CapturePolicy(0.25, "sync", {"amount": "mask", "seen": "mask"})
    assert endpoint.revision == 5
    change_capture(store, "paid", CaptureChange(), NOW)
    assert store.endpoints.get("paid").revision == 5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (CaptureChange(share=1.5), "The share of requests to capture is 1.5. Use 0 to 1."),
        (CaptureChange(share=float("nan")), "The share of requests to capture is nan. Use 0 to 1."),
        (CaptureChange(redact=("price=drop",)), "Column 'price' is to be redacted, and no variant takes it."),
        (
            CaptureChange(redact=("town",)),
            "--redact is 'town'. Write COLUMN=drop, COLUMN=hash, COLUMN=mask, or COLUMN=",
        ),
        (CaptureChange(redact=("town=blur",)), "--redact is 'town=blur'."),
        (CaptureChange(redact=("=drop",)), "Column '' is to be redacted, and no variant takes it."),
    ],
)
def test_what_cannot_be_captured_so_is_refused(store: Store, change: CaptureChange, told: str) -> None:
    """Nothing is changed."""
    with pytest.raises(InputError) as raised:
        change_capture(store, "paid", change, NOW)
    assert told in str(raised.value)
    assert store.endpoints.get("paid").capture == CapturePolicy()


def test_an_unknown_endpoint_is_told(store: Store) -> None:
    """As everywhere."""
    with pytest.raises(UnknownNameError, match="The store has no endpoint 'free'"):
        change_capture(store, "free", CaptureChange(share=0.5), NOW)


def test_the_command_shows_and_changes(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """For people, and as JSON."""
    where = ["--store", str(store.root)]
    for arguments in (
        ["capture", "paid"],
        ["capture", "paid", "--share", "0.1", "--redact", "town=hash", "--json"],
        ["capture", "paid", "--mode", "sync"],
        ["capture", "paid", "--share", "0"],
    ):
        with pytest.raises(SystemExit) as ended:
            app(["endpoints", *arguments, *where])
        assert not ended.value.code
    first, rest = capsys.readouterr().out.split("\n", 1)
    assert first == "All requests to endpoint paid are captured, within 0.2 s of the answer."
    document, rest = rest[: rest.rindex("}\n") + 1], rest[rest.rindex("}\n") + 2 :]
    assert msgspec.json.decode(document) == {"share": 0.1, "mode": "async", "redact": {"town": "hash"}}
    assert rest.splitlines() == [
        "10% of the requests to endpoint paid are captured, before they are answered.",
        "  town: only a digest, equal for equal values",
        "Nothing is captured of endpoint paid.",
    ]


def test_the_export_of_nothing_is_an_error(store: Store, tmp_path: Path) -> None:
    """And makes no folder."""
    with pytest.raises(InputError, match="Nothing was captured of endpoint 'paid'"):
        app(["endpoints", "export", "paid", "--out", str(tmp_path / "out"), "--store", str(store.root)])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "yesterday", "5", "5y", "h", "-3h", "2024-13-01", "1" * 9 + "w"])
def test_what_is_no_moment_is_told_with_its_option(text: str) -> None:
    """And with what would be one."""
    with pytest.raises(SettingError, match=r"^--from is '.*', which is no moment. Write 2024-05-01, "):
        instant_of(text, "--from", NOW)

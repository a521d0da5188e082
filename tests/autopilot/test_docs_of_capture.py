"""The guide to capture runs, and tells what there is."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from autopilot.cli import app
from autopilot.endpoint_capture import KEEP
from storage import Predictor, Store
from storage.boundary import blocks_of_rows
from storage.redaction import REDACTIONS
from storage.traffic import Header, Invocation
from tests import portable

GUIDE = (Path(__file__).parents[2] / "docs" / "capture.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two requests that were captured while `town` was hashed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOPILOT_STORE", str(tmp_path / "store"))
    store = Store.open("store")
    portable.publish(store, portable.classifier(), name="payments", endpoint="payments")
    writer = store.traffic.writer(Header("payments", "payments", 1, portable.CLASSIFIER, redact={"town": "hash"}))
    blocks = blocks_of_rows(portable.CLASSIFIER, portable.ROWS[:1])
    outputs = Predictor(portable.classifier()).run(blocks)
    now_us = int(datetime.now(UTC).timestamp() * 1e6)
    writer.append([Invocation(name, now_us - 1_000_000, blocks, outputs) for name in ("a", "b")])
    writer.rotate()
    store.close()


def test_its_commands_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Each as it stands, one after the other."""
    blocks = re.findall("```console\n(.*?)```", GUIDE, flags=re.DOTALL)
    commands = [shlex.split(line.removeprefix("$ autopilot ")) for block in blocks for line in block.splitlines()]
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            app(command)
        assert not ended.value.code, capsys.readouterr()
    assert len(commands) == 8
    store = Store.open("store")
    policy = store.endpoints.get("payments").capture
    store.close()
    assert (policy.share, policy.mode, policy.redact) == (1.0, "sync", {"town": "hash", "seen": "mask"})
    assert len(list(Path().glob("captured/payments/main/*/*/*/*/*.jsonl"))) == 1
    assert len(list(Path().glob("lately/variant=main/date=*/hour=*/*.parquet"))) == 1
    assert len(list(Path().glob("table/variant=main/date=*/hour=*/*.csv"))) == 1
    told = capsys.readouterr().out
    assert "All requests to endpoint payments are captured, within 0.2 s of the answer." in told
    assert "2 requests of 2 rows are in captured: 1 files" in told


def test_its_python_gives_what_it_says() -> None:
    """Each line with an answer beside it."""
    names: dict[str, object] = {}
    answers = 0
    for line in "".join(re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL)).splitlines():
        code, _, told = line.partition("  # ")
        if told:
            assert eval(code, names) == eval(told)  # noqa: S307 - our own guide
            answers += 1
        else:
            exec(code, names)  # noqa: S102
    assert answers == 4
    assert isinstance(names["store"], Store)
    names["store"].close()


def test_each_redaction_is_in_the_guide() -> None:
    """And no other."""
    assert set(re.findall(r"^\| `COLUMN=(\w+)` \|", GUIDE, flags=re.MULTILINE)) == {*REDACTIONS, KEEP}

"""The guide runs, and tells what the server does."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.protocols.sagemaker.async_invocations import TIMEOUT_S, TTL_S
from storage import Settings, Store
from storage.signing import signature
from tests import portable
from tests.serving.asynchronous.conftest import SECRET
from tests.serving.conftest import ROOT, ServerProcess, serving

GUIDE = (ROOT / "docs" / "async-inference.md").read_text(encoding="utf-8")
BLOCKS = re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    with serving(store) as server:
        yield server
    store.close()


def test_its_python_prints_what_it_says(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """On the server's own address."""
    pytest.importorskip("boto3")
    for block in BLOCKS[:2]:
        names: dict[str, Any] = {}
        exec(block.replace("http://127.0.0.1:8080", server.url), names)  # noqa: S102 - our own guide
        names[min({"client", "runtime"} & set(names))].close()
        assert capsys.readouterr().out.splitlines() == re.findall("^# (.+)", block, flags=re.MULTILINE)


def test_its_receiver_knows_our_signatures() -> None:
    """And no others, nor old ones."""
    names: dict[str, Any] = {}
    exec(BLOCKS[2], names)  # noqa: S102 - our own guide
    now, body = int(time.time()), b'{"id":"1"}'
    headers = {"x-autopilot-timestamp": str(now), "x-autopilot-signature": signature(SECRET, now, body)}
    assert names["is_ours"](SECRET, headers, body)
    assert not names["is_ours"](b"another secret!!", headers, body)
    assert not names["is_ours"](SECRET, headers, body + b" ")
    old = {"x-autopilot-timestamp": str(now - 400), "x-autopilot-signature": signature(SECRET, now - 400, body)}
    assert not names["is_ours"](SECRET, old, body)


def test_each_setting_is_told_with_its_default() -> None:
    """Those of async invocations."""
    told = dict(re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", GUIDE.split("## Settings")[1], flags=re.MULTILINE))
    usual = Settings()
    names = {name for name in Settings.__struct_fields__ if name.startswith(("async_", "webhook_"))}
    assert set(told) == names
    words = {"": "none", 0: "half of the cores"}
    assert told == {name: words.get(value := getattr(usual, name), str(value)) for name in names}


def test_limits_are_told() -> None:
    """As SageMaker has them."""
    assert (TTL_S, TIMEOUT_S) == ((60, 21_600, 21_600), (1, 3_600, 900))
    assert "60 to 21600, which is the default" in GUIDE
    assert "1 to 3600; the default is 900" in GUIDE

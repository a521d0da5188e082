"""The guide to SageMaker runs, and tells what the server does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("boto3")

from serving.protocols.sagemaker import headers
from storage import Store
from tests import portable
from tests.serving.conftest import ServerProcess, serving

GUIDE = (Path(__file__).parents[2] / "docs" / "sagemaker.md").read_text(encoding="utf-8")


@pytest.fixture
def server(store: Store) -> Iterator[ServerProcess]:
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    with serving(store) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "store")
    yield store
    store.close()


def test_its_python_prints_what_it_says(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """On the server's own address."""
    (block,) = re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(block.replace("http://127.0.0.1:8080", server.url), names)  # noqa: S102 - our own guide
    names["client"].close()
    first, each = re.findall(r"print\(.*\)  # (.+)", block)
    assert capsys.readouterr().out == first.encode().decode("unicode_escape") + "\n" + f"{each}\n" * 3


def test_each_header_is_told() -> None:
    """Those that are looked at, and what a request may have besides."""
    told = set(re.findall(r"^\| `\w+` \| `([\w-]+)` \|", GUIDE, flags=re.MULTILINE))
    looked_at = {name.decode().removeprefix("x-amzn-sagemaker-") for name in headers.LOOKED_AT}
    assert {name.lower() for name in told} == looked_at | {"inference-id", "prefix-aware-id"}

"""The guide to the API runs, and names each path."""

import asyncio
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.control.pages import MOST
from storage import Store
from storage.idempotency import KEPT
from tests import portable
from tests.serving.conftest import ROOT, ServerProcess, serving

GUIDE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server over a store with two versions of a model."""
    store = Store.open(tmp_path_factory.mktemp("guide") / "store")
    for shift in (0.0, 1.0):
        portable.publish(store, portable.regressor(shift), name="price")
    with serving(store) as server:
        yield server
    store.close()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the files that the guide speaks of."""
    monkeypatch.chdir(tmp_path)
    Path("new").mkdir()
    Path("new/a.csv").write_text("amount,town,visits,seen\n4,Ulm,2,2023-05-01\n")
    Path("labels.csv").write_text("inference_id,label\na1,10\n")
    return tmp_path


@pytest.mark.slow
def test_its_python_gives_what_it_says(server: ServerProcess, folder: Path) -> None:
    """Each line with an answer beside it."""
    names: dict[str, Any] = {"SERVER": server.url, "asyncio": asyncio}
    answers = 0
    for block in re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL):
        for folder_name in ("new/", "scored/", "again/"):
            block = block.replace(f'"{folder_name}"', f'"{folder}/{folder_name}"')
        for statement in re.split(r"\n(?=\S)(?!except)", block):
            code, _, told = statement.strip().partition("  # ")
            if told:
                assert eval(code, names) == eval(told), code  # noqa: S307 - our own guide
                answers += 1
            else:
                exec(code, names)  # noqa: S102
    assert answers == 15


def test_its_commands_are_answered(server: ServerProcess, folder: Path) -> None:
    """Each as it stands, one after the other; paths are the server's, which runs elsewhere."""
    (block,) = re.findall("```console\n(.*?)```", GUIDE, flags=re.DOTALL)
    commands = [line.removeprefix("$ ").replace("$SERVER", server.url) for line in block.splitlines()]
    for command in commands:
        words = shlex.split(command.replace('"new/"', f'"{folder}/new/"').replace('"scored/"', f'"{folder}/scored/"'))
        done = subprocess.run([*words, "-sS", "--fail-with-body"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert len(commands) > 25


def test_each_path_is_named_with_its_methods(server: ServerProcess) -> None:
    """As the OpenAPI document has them."""
    told: dict[str, set[str]] = {}
    for paths, methods in re.findall(r"^\| (`/api.*?`) \| ([A-Z, ]+) \|", GUIDE, flags=re.MULTILINE):
        for path in re.findall("`(.*?)`", paths):
            told[path] = set(methods.split(", "))
    documented = server.client.get("/schema").json()["paths"]
    names = {"{name}": "NAME", "{endpoint}": "NAME", "{version}": "VERSION", "{alias}": "ALIAS"}
    found: dict[str, set[str]] = {}
    for path, operations in documented.items():
        if path.startswith("/api/"):
            plain = re.sub(r"\{\w+_id\}", "ID", path)
            for template, name in names.items():
                plain = plain.replace(template, name)
            found[plain] = {method.upper() for method in operations}
    assert told == found


def test_its_figures_are_those_of_the_code() -> None:
    """Of pages, and of what is kept."""
    assert f"1 to {MOST:,} (100)" in GUIDE
    assert f"kept for {KEPT.total_seconds() / 3600:.0f} hours" in GUIDE

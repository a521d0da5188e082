"""The guide tells what the server does."""

import re
from typing import Any

import pytest

from serving.media import ALIASES, MEDIA_TYPES
from serving.problems import KINDS
from tests.serving.conftest import ROOT, ServerProcess

GUIDE = (ROOT / "docs" / "serving.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Cells of the rows of the table whose first column is headed so."""
    lines = GUIDE.split(f"\n| {heading} |", 1)[1].splitlines()[2:]
    rows = [line for line in lines[: lines.index("")] if line]
    return [[cell.strip().strip("`") for cell in row[1:-1].split("|")] for row in rows]


@pytest.mark.parametrize(("content_type", "accept", "body", "answer"), table("Content-Type"))
def test_each_example_is_answered_as_the_guide_says(
    server: ServerProcess, content_type: str, accept: str, body: str, answer: str
) -> None:
    """To the letter."""
    headers = {"content-type": content_type} | ({"accept": accept} if accept else {})
    reply = server.client.post("/endpoints/price/invocations", content=body.replace("\\n", "\n"), headers=headers)
    assert reply.text.strip() == answer.replace("\\n", "\n")


def test_its_python_prints_what_it_says(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """On the server's own address."""
    (block,) = re.findall("```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(block.replace("http://127.0.0.1:8080", server.url), names)  # noqa: S102 - our own guide
    names["client"].close()
    assert capsys.readouterr().out.splitlines() == re.findall("^# (.+)", block, flags=re.MULTILINE)


def test_each_media_type_is_in_the_guide() -> None:
    """With the format that it is; but for that which curl sends unasked."""
    told = {name: at for at, cells in enumerate(table("format")) for name in re.findall(r"[\w.+-]+/[\w.+-]+", cells[1])}
    names = {name: list(MEDIA_TYPES).index(format) for name, format in ALIASES.items() if "form-url" not in name}
    assert told == names | {name: at for at, name in enumerate(MEDIA_TYPES.values())}


def test_each_problem_is_in_the_guide() -> None:
    """With its status."""
    told = {(int(status), type_.removeprefix("urn:autopilot:")) for status, type_, _ in table("status")}
    assert told == {(kind.status, kind.name) for kind in KINDS.values()}


def test_each_path_is_in_the_guide(server: ServerProcess) -> None:
    """As the OpenAPI document has them, with NAME and ID for what varies; endpoints have paths of their own there.
    Those of the control plane are in its own guide."""
    paths = {re.sub(r"\{name\}|\b(paid|price)\b", "NAME", path) for path in documented(server)}
    paths = {re.sub(r"\{\w+_id\}", "ID", path) for path in paths if not path.startswith("/api/")}
    assert paths <= set(re.findall(r"/[\w/-]+", " ".join(cells[0] for cells in table("path"))))


def documented(server: ServerProcess) -> list[str]:
    """Paths of the OpenAPI document."""
    return list(server.client.get("/schema").json()["paths"])

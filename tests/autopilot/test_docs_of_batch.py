"""The guide to batch transform runs, and tells what there is."""

import inspect
import re
import shlex
from pathlib import Path
from typing import get_args

import polars as pl
import pytest

from autopilot.cli import app, predict
from serving.batch import worker
from storage import Store
from storage.batch.transform import OnBadRow
from tests import portable

GUIDE = (Path(__file__).parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the files that the guide speaks of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOPILOT_STORE", str(tmp_path / "store"))
    store = Store.open("store")
    portable.publish(store, portable.classifier(), name="payments")
    store.close()
    Path("payments.onnx").write_bytes(portable.classifier())
    rows = pl.DataFrame(list(portable.ROWS), infer_schema_length=None).with_row_index("id")
    for name in ("day.csv", "new/a.csv", "new/deep/b.csv"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        rows.write_csv(name)


def test_its_commands_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Each as it stands, one after the other."""
    (block,) = re.findall("```console\n(.*?)```", GUIDE, flags=re.DOTALL)
    commands = [shlex.split(line.removeprefix("$ autopilot ")) for line in block.splitlines()]
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            app(command)
        assert not ended.value.code
    assert len(commands) == 4
    assert pl.read_parquet("one.parquet").columns == ["id", "label"]
    assert "8 rows predicted into one.parquet" in capsys.readouterr().out


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


def test_its_options_and_figures_are_those_of_the_code() -> None:
    """Of the command line, and of leases."""
    options = set(re.findall(r"--[a-z][a-z-]+", GUIDE)) - {"--once", "--store"}
    known = {f"--{name.removesuffix('_').replace('_', '-')}" for name in inspect.signature(predict).parameters}
    assert options <= known | {"--no-probabilities"}
    assert all(f"`{choice}`" in GUIDE for choice in get_args(OnBadRow))
    assert worker.LEASE_S == 10
    assert "a lease of ten seconds" in GUIDE

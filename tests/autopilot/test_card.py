"""The card: what a model file tells of itself."""

import json
import shlex
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper

import autopilot
from autopilot import Result
from autopilot.__main__ import run
from autopilot.candidates.baseline import Baseline
from autopilot.candidates.linear import Linear
from autopilot.card import describe, digest_of, operators_of
from storage import ModelFileError
from storage.packed import read_metadata
from tests import portable


def test_the_file_alone_tells_what_the_run_knew(fitted: Result) -> None:
    """Columns, members with weights and parameters, features in words, scores, versions."""
    found = describe(fitted.model.model_bytes)
    assert found.card == fitted.best.card
    assert found.signature == fitted.model.signature
    assert found.size_bytes == fitted.best.size_bytes == len(fitted.model.model_bytes)
    trials = {trial.number: trial for trial in fitted.trials}
    for member in found.card.members:
        assert member.params == trials[member.trial].params
        assert found.card.plans[member.recipe]
    words = " ".join(step for steps in found.card.plans.values() for step in steps)
    for column in found.signature.names:
        assert repr(column) in words


def test_all_operators_are_counted_and_standard(fitted: Result) -> None:
    """As many as the graph has nodes; `onnx` itself says which sets they are of."""
    found = describe(fitted.model.model_bytes)
    graph = onnx.load_from_string(fitted.model.model_bytes).graph
    assert sum(found.operators.values()) == len(graph.node)
    assert list(found.operators.values()) == sorted(found.operators.values(), reverse=True)
    assert found.opsets == {"ai.onnx": 21, "ai.onnx.ml": 3}
    assert found.contrib == ()


def test_operators_of_a_runtimes_own_are_named() -> None:
    """Those inside branches too."""
    inner = helper.make_graph(
        [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")],
        "inner",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])],
    )
    nodes = [
        helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner),
        helper.make_node("Identity", ["x"], ["w"]),
    ]
    graph = helper.make_graph(nodes, "outer", [], [])
    assert operators_of(helper.make_model(graph)) == {"com.microsoft.Gelu": 2, "If": 1, "Identity": 1}


def test_a_contrib_operator_in_a_file_is_on_its_card(fitted: Result) -> None:
    """And the digest tells that it was not there when the file was made."""
    model = onnx.load_from_string(fitted.model.model_bytes)
    model.graph.node.append(helper.make_node("Gelu", ["age"], ["gelu"], domain="com.microsoft"))
    found = describe(model.SerializeToString())
    assert found.contrib == ("com.microsoft.Gelu",)
    assert not found.intact


def test_the_certificate_tells_how_many_rows_were_tried_and_where_it_is_furthest(fitted: Result) -> None:
    """Real rows and hostile ones."""
    parity = describe(fitted.model.model_bytes).card.parity
    assert parity.real_rows == 400
    assert parity.rows > parity.real_rows + 70
    assert parity.max_abs_diff <= 1e-5
    assert (parity.worst is None) == (parity.max_abs_diff == 0.0)


def test_the_digest_is_of_the_graph_without_metadata(fitted: Result) -> None:
    """Other metadata do not change it; another graph does."""
    model = onnx.load_from_string(fitted.model.model_bytes)
    assert digest_of(model) == fitted.best.card.digest
    helper.set_model_props(model, {"owner": "someone"})
    assert digest_of(model) == fitted.best.card.digest
    model.producer_version = "2"
    assert digest_of(model) != fitted.best.card.digest


def test_the_example_is_a_row_that_the_model_takes(fitted: Result) -> None:
    """As JSON: its answer is that of the test vector that it is."""
    found = describe(fitted.model.model_bytes)
    assert found.example is not None
    row = json.loads(json.dumps(found.example))
    assert set(row) == set(found.signature.names)
    vectors = json.loads(read_metadata(fitted.model.model_bytes)["vectors"])
    assert fitted.model.predict_row(row)["p_yes"] in [
        pytest.approx(shares[1], abs=1e-6) for shares in vectors["outputs"]["probabilities"][:3]
    ]


def test_an_example_is_written_as_people_write_it(tmp_path: Path) -> None:
    """Whole numbers whole, booleans as such, dates as dates, missing as null."""
    frame = pl.DataFrame(
        {
            "rooms": [n % 7 for n in range(60)],
            "size": [size / 4 for size in range(60)],
            "balcony": [n % 3 == 0 for n in range(60)],
            "town": ["Ulm", "Köln", "Bonn"] * 20,
            "built": [date(1960 + n, 1, 1) for n in range(60)],
            "seen": [datetime(2024, 1, 1, n % 24, 30) for n in range(60)],  # noqa: DTZ001 - tables have no zones
            "rent": [300.0 + 10 * n for n in range(60)],
        }
    )
    settings: dict[str, Any] = {"budget": 4, "store": tmp_path, "progress": False, "guard": False}
    result = autopilot.fit(frame, "rent", candidates=(Baseline(), Linear()), **settings)
    assert describe(result.model.model_bytes).example == {
        "rooms": 0,
        "size": 0.0,
        "balcony": True,
        "town": "Ulm",
        "built": "1960-01-01",
        "seen": "2024-01-01T00:30:00Z",
    }


def test_vectors_hold_hostile_rows_beside_real_ones(fitted: Result) -> None:
    """Infinities, an emoji, a time before 1970, nothing at all; encoded so that any language can read them."""
    vectors = json.loads(read_metadata(fitted.model.model_bytes)["vectors"])
    about, inputs = vectors["about"], vectors["inputs"]
    assert len(about) == 10
    assert about[:3] == ["a real row"] * 3
    assert inputs["income"][about.index("infinity in each number column")] == "Infinity"
    assert inputs["age"][about.index("minus infinity in each number column")] == "-Infinity"
    assert inputs["town"][about.index("unseen, with an emoji in each text column")] == "\U0001f600 never seen"
    assert int(inputs["joined"][about.index("July 1969 in each time column")]) < 0
    assert [inputs[name][-1] for name in fitted.model.signature.names] == [
        *["NaN"] * 3,
        *[""] * 2,
        "-9223372036854775808",
    ]


def test_a_card_written_before_there_were_plans_can_still_be_read() -> None:
    """Fields that it lacks have defaults."""
    model = onnx.load_from_string(portable.classifier())
    card = json.loads(read_metadata(portable.classifier())["card"])
    for old in (card, card["parity"], card["members"][0]):
        for key in ("plans", "worst", "real_rows", "params", "recipe"):
            old.pop(key, None)
    helper.set_model_props(model, read_metadata(portable.classifier()) | {"card": json.dumps(card)})
    found = describe(model.SerializeToString())
    assert found.card.plans == {}
    assert found.card.members[0].params == {}
    assert (found.card.parity.real_rows, found.card.parity.worst) == (0, None)
    assert (found.vectors, found.example) == (0, None)


def test_a_file_that_is_no_model_of_ours_is_told() -> None:
    """Whether it is ONNX or not."""
    with pytest.raises(ModelFileError, match="not a model that autopilot wrote"):
        describe(helper.make_model(helper.make_graph([], "g", [], [])).SerializeToString())
    with pytest.raises(ModelFileError, match="not an ONNX model"):
        describe(b"\x07 no model")


# ------------------------------------------------------------------------------------------------------ the command


def test_the_command_shows_the_card_of_a_file_without_a_store(
    fitted: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns, ensemble, features, scores, operators, parity; and what to send, which a shell can read."""
    monkeypatch.chdir(tmp_path)
    fitted.model.save("m.onnx")
    assert run(["inspect", "m.onnx"]) == 0
    shown = capsys.readouterr().out
    assert "mixed: binary classification of 'paid' (no, yes)" in shown
    for word in (*fitted.model.signature.names, "mean target", "roc_auc", "all of the ONNX standard", "400 of them"):
        assert word in " ".join(shown.split()), word
    command, _, body, address = shlex.split(shown.strip().splitlines()[-1])
    assert command == "curl"
    assert fitted.model.predict_rows(json.loads(body))
    assert address.endswith("/endpoints/mixed/invocations")
    assert not (tmp_path / "autopilot-store").exists()


def test_the_command_shows_a_registered_model_as_json(fitted: Result, capsys: pytest.CaptureFixture[str]) -> None:
    """By name and version."""
    assert run(["inspect", "mixed:1", "--store", str(fitted.store.root), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["card"]["digest"] == fitted.best.card.digest
    assert set(found["card"]["parity"]) == {"rows", "max_abs_diff", "label_flips", "real_rows", "worst"}
    assert found["vectors"] == 10


def test_the_command_names_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path, a name, and a file that is something else."""
    assert run(["inspect", str(tmp_path / "no.onnx")]) == 2
    assert "There is no model file" in capsys.readouterr().err
    assert run(["inspect", "nobody", "--store", str(tmp_path / "store")]) == 2
    assert "no model 'nobody'" in capsys.readouterr().err
    (tmp_path / "m.onnx").write_text("no model")
    assert run(["inspect", str(tmp_path / "m.onnx")]) == 1
    assert "not an ONNX model" in capsys.readouterr().err


def test_names_that_look_like_markup_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns and classes are data."""
    frame = pl.DataFrame({"[red]": [float(n) for n in range(60)], "y": ["[b]", "no", "it's"] * 20})
    result = autopilot.fit(
        frame, "y", budget=60, max_trials=3, store=tmp_path, progress=False, candidates=(Baseline(), Linear())
    )
    assert run(["inspect", str(result.model.save(tmp_path / "m.onnx"))]) == 0
    shown = capsys.readouterr().out
    assert "[red]" in shown
    assert "[b]" in shown


def test_a_wide_table_is_cut_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rest is in the JSON."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{i}": rng.normal(size=60) for i in range(1, 51)})
    frame = frame.with_columns(y=pl.col("x1") + pl.col("x2"))
    result = autopilot.fit(
        frame, "y", budget=60, max_trials=3, store=tmp_path, progress=False, candidates=(Baseline(), Linear())
    )
    assert run(["inspect", str(result.model.save(tmp_path / "m.onnx"))]) == 0
    assert "and 10 more columns" in capsys.readouterr().out

"""A model file is checked by the vectors that it carries, and by the digest on its card."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest

import autopilot
from autopilot import Result
from autopilot.__main__ import run
from autopilot.candidates.linear import Linear
from autopilot.card import digest_of
from storage import ModelFileError
from storage.errors import DataError
from storage.packed import read_metadata
from storage.vectors import Vectors, compare
from tests import portable, tables

Change = Callable[[onnx.ModelProto, dict[str, Any]], None]


@pytest.fixture
def altered(fitted: Result, tmp_path: Path) -> Callable[[Change], Path]:
    """A copy of the model file in which the graph, or the metadata as plain data, was changed."""

    def write(change: Change) -> Path:
        model = onnx.load_from_string(fitted.model.model_bytes)
        metadata = {key: json.loads(value) for key, value in read_metadata(fitted.model.model_bytes).items()}
        change(model, metadata)
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
        path = tmp_path / "altered.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


def swap_classes(model: onnx.ModelProto) -> None:
    """Exchange the names of the classes."""
    (names,) = (tensor for tensor in model.graph.initializer if list(tensor.string_data) == [b"no", b"yes"])
    names.string_data[:] = [b"yes", b"no"]


def double_weights(model: onnx.ModelProto) -> None:
    """Whatever models add up, all constants with it."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "target_weights":
                attribute.floats[:] = [2 * weight for weight in attribute.floats]
    for tensor in model.graph.initializer:
        weights = onnx.numpy_helper.to_array(tensor)
        if weights.dtype.kind == "f":
            with np.errstate(over="ignore"):  # limits at the largest float32 are among them
                doubled = 2 * weights
            tensor.CopyFrom(onnx.numpy_helper.from_array(doubled, tensor.name))


def test_a_file_as_it_was_made_passes(fitted: Result, tmp_path: Path) -> None:
    """By path, whatever wrote it to disk."""
    found = autopilot.verify(fitted.model.save(tmp_path / "m.onnx"))
    assert found.passed
    assert found.intact
    assert (found.rows, found.label_flips) == (10, 0)
    assert found.max_abs_diff <= 1e-6
    assert found.digest == fitted.best.card.digest
    assert found.runtime.startswith("onnxruntime 1.")


def test_a_registered_model_is_verified_by_its_name(fitted: Result) -> None:
    """The latest version, or the one that is named."""
    assert autopilot.verify("mixed", store=fitted.store).passed
    assert autopilot.verify("mixed:1", store=fitted.store).passed


def test_a_changed_weight_is_seen_though_the_answers_are_the_same(altered: Callable[[Change], Path]) -> None:
    """The digest knows each bit of the graph; here it is a name that nothing looks at."""
    found = autopilot.verify(altered(lambda model, _: setattr(model.graph, "name", "other")))
    assert not found.intact
    assert found.max_abs_diff <= 1e-6
    assert not found.passed


def test_changed_weights_show_in_the_answers_though_the_digest_was_forged(altered: Callable[[Change], Path]) -> None:
    """Whoever changes the graph can write another digest, but not the answers of the old graph."""

    def change(model: onnx.ModelProto, metadata: dict[str, Any]) -> None:
        double_weights(model)
        metadata["card"]["digest"] = digest_of(model)

    found = autopilot.verify(altered(change))
    assert found.intact
    assert found.max_abs_diff > 1e-3
    assert not found.passed


def test_changed_labels_are_counted(altered: Callable[[Change], Path]) -> None:
    """All ten are the other way round."""
    found = autopilot.verify(altered(lambda model, _: swap_classes(model)))
    assert found.label_flips == 10
    assert not found.passed


def test_a_changed_answer_is_named(altered: Callable[[Change], Path]) -> None:
    """By what its row is."""

    def change(_: onnx.ModelProto, metadata: dict[str, Any]) -> None:
        row = metadata["vectors"]["about"].index("nothing but nulls")
        metadata["vectors"]["outputs"]["probabilities"][row][0] += 0.01

    found = autopilot.verify(altered(change))
    assert found.intact
    assert found.max_abs_diff == pytest.approx(0.01, abs=1e-6)
    assert found.worst == "nothing but nulls"
    assert not found.passed


def test_an_answer_that_is_no_number_is_infinitely_far(altered: Callable[[Change], Path]) -> None:
    """Not equal to anything."""

    def change(_: onnx.ModelProto, metadata: dict[str, Any]) -> None:
        metadata["vectors"]["outputs"]["probabilities"][3] = ["NaN", "NaN"]

    assert autopilot.verify(altered(change)).max_abs_diff == float("inf")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("vectors", "The file has no test vectors: its metadata were removed."),
        ("card", "The file is not a model that autopilot wrote"),
        ("signature", "The file is not a model that autopilot wrote"),
    ],
)
def test_lost_metadata_are_told(altered: Callable[[Change], Path], key: str, message: str) -> None:
    """Without them there is nothing to hold the file against."""
    with pytest.raises(ModelFileError, match=message):
        autopilot.verify(altered(lambda _, metadata: metadata.pop(key)))


def test_vectors_of_an_older_layout_are_told(altered: Callable[[Change], Path]) -> None:
    """Rather than passed over."""
    with pytest.raises(ModelFileError, match=r"cannot be read .* written by an older version"):
        autopilot.verify(altered(lambda _, metadata: metadata.update(vectors={"rows": [], "answers": []})))


def test_vectors_of_other_columns_are_told(altered: Callable[[Change], Path]) -> None:
    """They were taken from another model's file."""

    def change(_: onnx.ModelProto, metadata: dict[str, Any]) -> None:
        metadata["vectors"]["inputs"]["years"] = metadata["vectors"]["inputs"].pop("age")

    with pytest.raises(ModelFileError, match=r"The file takes the columns 'age', .* test vectors have .*'years'"):
        autopilot.verify(altered(change))


@pytest.mark.parametrize("output", ["label", "probabilities"])
def test_vectors_of_other_answers_are_told(altered: Callable[[Change], Path], output: str) -> None:
    """Too few of them, or none."""

    def shorten(_: onnx.ModelProto, metadata: dict[str, Any]) -> None:
        metadata["vectors"]["outputs"][output].pop()

    for change in (shorten, lambda _, metadata: metadata["vectors"]["outputs"].pop(output)):
        with pytest.raises(ModelFileError, match="of another model"):
            autopilot.verify(altered(change))


def test_inputs_that_cannot_be_read_are_told(altered: Callable[[Change], Path]) -> None:
    """A number that is none."""

    def change(_: onnx.ModelProto, metadata: dict[str, Any]) -> None:
        metadata["vectors"]["inputs"]["age"][0] = "old"

    with pytest.raises(ModelFileError, match="cannot be replayed: could not convert string to float: 'old'"):
        autopilot.verify(altered(change))


def test_a_model_without_vectors_cannot_be_verified(tmp_path: Path) -> None:
    """One that was made by hand."""
    (tmp_path / "m.onnx").write_bytes(portable.classifier())
    with pytest.raises(ModelFileError, match="no test vectors"):
        autopilot.verify(tmp_path / "m.onnx")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """As everywhere."""
    with pytest.raises(DataError, match="There is no model file"):
        autopilot.verify(tmp_path / "no.onnx")


def test_the_command_ends_with_0_if_all_is_well_and_with_1_if_not(
    fitted: Result, altered: Callable[[Change], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script need not read what it prints; 2 is a file that is not there."""
    path = fitted.model.save(tmp_path / "m.onnx")
    assert run(["verify", str(path)]) == 0
    assert "10 replayed in onnxruntime" in capsys.readouterr().out
    assert run(["verify", str(altered(lambda model, _: swap_classes(model))), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["passed"], found["intact"], found["label_flips"]) == (False, False, 10)
    assert run(["verify", str(altered(lambda model, _: swap_classes(model)))]) == 1
    assert "altered since it was made" in capsys.readouterr().out
    assert run(["verify", str(tmp_path / "no.onnx")]) == 2


def examples() -> list[str]:
    """The guide's Python."""
    guide = Path(autopilot.__file__).parent.parent / "docs" / "model-file.md"
    return re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)


def run_example(code: str, folder: Path) -> str:
    """What it prints in a folder with `m.onnx`, by a Python that is not told where autopilot is."""
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("table", [tables.mixed(60), tables.multiclass(60), tables.regression(60)])
def test_the_guides_ten_lines_replay_the_vectors_without_autopilot(table: pl.DataFrame, tmp_path: Path) -> None:
    """Of text labels, whole-number labels and values; the first example of the guide takes two columns."""
    target = table.columns[-1]
    table = table.select("age", "town", target)
    found = autopilot.fit(
        table, target, budget=60, max_trials=3, store=tmp_path / "s", progress=False, candidates=(Linear(),)
    )
    found.model.save(tmp_path / "m.onnx")
    first, second = examples()
    run_example(first, tmp_path)
    printed = run_example(second + "import sys; print('autopilot' in sys.modules)", tmp_path).splitlines()
    assert printed.pop() == "False"
    answers = dict(line.split() for line in printed)
    if "label" in answers:
        assert answers.pop("label") == "True"
    assert 1 <= len(answers) <= 2  # probabilities or a prediction, and where rows suffice sets or intervals
    assert all(float(difference) <= 1e-6 for difference in answers.values())


def test_values_of_a_regression_are_compared_in_units_of_their_range() -> None:
    """A difference of a thousandth of the range is one, whatever the unit."""
    for unit in (1e-9, 1.0, 1e9):
        vectors = Vectors(("a", "b", "c"), {}, {"prediction": [0.0, unit, 10 * unit]})
        apart, flips = compare(vectors, {"prediction": np.array([0.0, 1.01 * unit, 10 * unit])})
        assert apart == pytest.approx([0, 0.001, 0])
        assert flips == 0

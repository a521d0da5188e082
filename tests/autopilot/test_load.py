"""Models are opened by path or by name."""

from pathlib import Path

import pytest

import autopilot
from storage import DataError, ModelFileError, Store, UnknownNameError
from tests import portable
from tests.refusals import raises


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with two versions of `demo`."""
    store = Store.open(tmp_path / "store")
    for shift in (0.0, 100.0):
        portable.publish(store, portable.regressor(shift))
    store.close()
    return Store.open(tmp_path / "store")


def test_a_name_is_its_latest_version_and_a_number_one_of_them(store: Store) -> None:
    """Their answers tell them apart."""
    for spec, shift in (("demo", 100.0), ("demo:2", 100.0), ("demo:1", 0.0)):
        assert autopilot.load(spec, store=store).predict_row(portable.ROWS[0]) == {"prediction": 1.0 + shift}


def test_the_store_is_that_of_the_settings_unless_it_is_named(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's, or the folder's default."""
    monkeypatch.setenv("AUTOPILOT_STORE", str(store.root))
    assert autopilot.load("demo").signature == portable.REGRESSOR
    monkeypatch.setenv("AUTOPILOT_STORE", str(tmp_path / "other"))
    with raises(UnknownNameError, "The store has no model 'demo'."):
        autopilot.load("demo")
    assert autopilot.load("demo", store=str(store.root)).signature == portable.REGRESSOR


def test_a_file_is_opened_whatever_its_name(tmp_path: Path) -> None:
    """As text or as a path; its ending does not matter if it is there."""
    for name in ("m.onnx", "model"):
        path = tmp_path / name
        path.write_bytes(portable.regressor())
        assert autopilot.load(path).predict_row(portable.ROWS[1]) == {"prediction": 0.5}
        assert autopilot.load(str(path)).signature == portable.REGRESSOR


def test_an_onnx_path_without_a_file_is_no_name(tmp_path: Path) -> None:
    """A misspelt path is not looked up in the store."""
    with raises(DataError, f"There is no model file '{tmp_path}/no.onnx'. Give the path of an .onnx file."):
        autopilot.load(tmp_path / "no.onnx")


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    """Before anything is predicted."""
    (tmp_path / "m.onnx").write_text("no model")
    with pytest.raises(ModelFileError):
        autopilot.load(tmp_path / "m.onnx")

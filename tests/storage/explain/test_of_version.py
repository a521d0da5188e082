"""A registered version has an explainer of its own, held against its stored sample of rows."""

from pathlib import Path

import polars as pl
import pytest

from storage import Predictor, Store
from storage.boundary import blocks_of_rows
from storage.errors import StoreError
from storage.explain import explain, explainer_of
from storage.explain.of_version import read_usual
from tests import portable

FRAME = pl.DataFrame(list(portable.ROWS), infer_schema_length=None)


def test_a_registered_version_is_explained_against_its_sample(tmp_path: Path) -> None:
    """Which serves as background as it is; the store may be closed by then."""
    store = Store.open(tmp_path)
    version = portable.publish(store, portable.classifier())
    explainer = explainer_of(store, version)
    assert read_usual(store, version).height == 4
    store.close()
    expected = explain(Predictor(portable.classifier()), FRAME, background=FRAME)
    assert explainer.explain(FRAME).values.tolist() == expected.values.tolist()
    found = explainer.explain_blocks(blocks_of_rows(version.signature, portable.ROWS))
    assert found.values.tolist() == expected.values[:, :, 1].tolist()
    assert found.background_rows == 4


def test_a_predictor_that_is_open_is_not_opened_again(tmp_path: Path) -> None:
    """The version's file may even be gone."""
    store = Store.open(tmp_path)
    version = portable.publish(store, portable.regressor())
    predictor = Predictor(store.models.read_file(version))
    store.blobs.path(version.digest).unlink()
    assert explainer_of(store, version, predictor).base.tolist() == [1.0]
    with pytest.raises(StoreError, match="not in the store"):
        explainer_of(store, version)
    store.close()


def test_a_served_model_gives_what_its_run_and_its_command_give(fitted: object) -> None:
    """`result.explain` on the same rows."""
    rows = read_usual(fitted.store, fitted.best).head(3).select(fitted.model.signature.names)
    found = explainer_of(fitted.store, fitted.best).explain_blocks(
        blocks_of_rows(fitted.model.signature, rows.to_dicts())
    )
    expected = fitted.explain(rows, class_="yes")
    assert found.outputs == ("yes",) * 3
    assert found.values.tolist() == expected.values[:, :, 0].tolist()

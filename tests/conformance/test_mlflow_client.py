"""MLflow's own scoring client, unmodified, against a server process."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from storage import Store
from tests.portable import ROWS, SCORES, publish, regressor
from tests.serving.conftest import serving


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    # Not at the head of the file: imported while no test runs, MLflow sets up reports of its use to its makers.
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    store = Store.open(tmp_path_factory.mktemp("mlflow") / "store")
    publish(store, regressor(), endpoint="price")
    with serving(store) as server:
        address = urlsplit(server.url)
        yield ScoringServerClient(address.hostname, address.port)
    store.close()


FRAME = pd.DataFrame(list(ROWS))


def test_it_finds_the_server_ready(client: Any) -> None:
    """By `/ping`."""
    client.ping()
    client.wait_server_ready(timeout=60)


def test_a_frame_is_predicted(client: Any) -> None:
    """It goes as `dataframe_split`, index included; missing values of pandas are missing values."""
    answer = client.invoke(FRAME).get_predictions()
    np.testing.assert_array_equal(answer.to_numpy().ravel(), SCORES)


def test_an_array_is_predicted(client: Any) -> None:
    """It goes as `inputs`, in the order of the columns."""
    answer = client.invoke(FRAME.to_numpy()).get_predictions()
    np.testing.assert_array_equal(answer.to_numpy().ravel(), SCORES)


def test_an_error_is_told(client: Any) -> None:
    """With our message."""
    with pytest.raises(Exception, match="row 0 holds 'many'"):
        client.invoke(FRAME.astype({"amount": object}).assign(amount="many"))

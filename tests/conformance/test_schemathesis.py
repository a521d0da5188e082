"""The server does what its OpenAPI document says, whatever schemathesis asks of it: sound requests and wrong ones.

See https://schemathesis.readthedocs.io
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from schemathesis import GenerationMode, checks

from serving.media import MEDIA_TYPES
from storage import Store
from tests import portable
from tests.serving.conftest import ServerProcess, serving

CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@schemathesis.serializer(*(name for format, name in MEDIA_TYPES.items() if format != "json"))
def as_bytes(_: Any, value: Any) -> bytes:
    """Text as it is; whatever stands for a table as bytes that are none."""
    return value if isinstance(value, bytes) else (value if isinstance(value, str) else repr(value)).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a classifier and a regressor that can do all that an option asks."""
    store = Store.open(tmp_path_factory.mktemp("described") / "store")
    portable.publish(store, portable.with_sets(), name="classifier", endpoint="paid")
    portable.publish(store, portable.with_interval(), name="regressor", endpoint="price")
    with serving(store) as server:
        yield server
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_each_operation_is_as_documented(server: ServerProcess, mode: Any) -> None:
    """No failure of the server; status, content type and body are as the document says that a client finds."""
    described = schemathesis.openapi.from_url(f"{server.url}/schema")
    operations = [found.ok() for found in described.get_all_operations()]
    assert {"/endpoints/paid/invocations", "/endpoints/price/invocations"} <= {each.path for each in operations}
    for operation in operations:
        if mode is GenerationMode.POSITIVE or operation.body or operation.query:
            is_control = operation.path.startswith("/api/")
            check(operation.as_strategy(generation_mode=mode), examples=15 if is_control else 40)
    assert "Traceback" not in server.log


def check(cases: Any, examples: int) -> None:
    """Make requests of these kinds, and look at the replies. Half of those to the control plane that delete nothing are
    about what there is."""

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
    @given(case=cases, known=booleans())
    def run(case: Any, known: bool) -> None:
        if known and case.method != "DELETE" and case.path.startswith("/api/"):
            name = "classifier" if case.path.startswith("/api/models") else "paid"
            there = {"name": name, "endpoint": name, "version": "1", "alias": "production"}
            case.path_parameters = {
                part: there.get(part, value) for part, value in (case.path_parameters or {}).items()
            }
        response = case.call()
        is_refused_in_time = response.status_code == 503 and response.json()["type"] == "urn:autopilot:deadline"
        case.validate_response(response, checks=[*CHECKS, *([] if is_refused_in_time else [checks.not_a_server_error])])

    run()

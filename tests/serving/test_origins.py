"""Pages of others change nothing, whatever the path and whatever name they have for this machine."""

from collections.abc import Iterator

import pytest

from serving.origins import Origins
from storage import SettingError, Store
from tests import portable
from tests.portable import ROWS
from tests.refusals import raises
from tests.serving.conftest import ServerProcess, serving

#: What changes something, or keeps something, by method and path.
CHANGES = (
    ("PATCH", "/api/endpoints/price", b'{"weights": {"main": 6}}'),
    ("PUT", "/api/endpoints/price/labels", b"[]"),
    ("POST", "/endpoints/price/async-inputs", b"4,Ulm,2,\n"),
    ("POST", "/endpoints/price/async-invocations", b"4,Ulm,2,\n"),
    ("POST", "/models", b'{"model_name": "price"}'),
    ("DELETE", "/models/price", b""),
    ("DELETE", "/models/invoke", b""),
    ("POST", "/v2/repository/models/price/load", b""),
    ("POST", "/v2/repository/models/price/unload", b""),
)
FOREIGN = ("http://evil.example", "null", "http://[", "http://127.0.0.1:1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that one page beside its own may change."""
    store = Store.open(tmp_path_factory.mktemp("origins") / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    with serving(store, environ={"AUTOPILOT_ORIGINS": "https://models.example:8443 http://other.example"}) as server:
        yield server
    store.close()


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_changes_are_refused_to_pages_of_others(server: ServerProcess, method: str, path: str, body: bytes) -> None:
    """Also where their name has come to mean this machine; the server's own and allowed pages get an answer."""

    def ask(**headers: str) -> tuple[int, str]:
        answer = server.client.request(method, path, content=body, headers={"content-type": "text/csv", **headers})
        return answer.status_code, answer.text

    for origin in FOREIGN:
        assert ask(origin=origin)[0] == 403
    for name in ("evil.example", "127.0.0.1.evil.example", "192.0.2.1"):
        for extra in ({}, {"x-forwarded-host": "localhost"}):
            status, text = ask(origin=f"http://{name}", host=name, **extra)
            assert (status, "by a program that sends no Origin" in text) == (403, True)
    port = server.url.rpartition(":")[2]
    for origin in (server.url, "https://models.example:8443"):
        assert ask(origin=origin)[0] != 403
    assert ask(origin=f"http://localhost:{port}", host=f"localhost:{port}")[0] != 403
    assert ask()[0] != 403
    assert ask(host="models.internal")[0] != 403


@pytest.mark.parametrize(
    "path",
    [
        "/invocations",
        "/endpoints/price/invocations",
        "/endpoints/price/invocations-response-stream",
        "/models/price/invoke",
        "/v1/models/price:predict",
        "/v2/models/price/infer",
        "/v2/repository/index",
    ],
)
def test_predictions_are_answered_to_any_page(server: ServerProcess, path: str) -> None:
    """They change nothing."""
    answer = server.client.post(path, json=ROWS, headers={"origin": "http://evil.example"})
    assert answer.status_code in (200, 400)


def test_a_refusal_has_the_shape_of_the_protocol(server: ServerProcess) -> None:
    """Clients of each read it."""
    headers = {"origin": "http://evil.example"}
    problem = server.client.post("/endpoints/price/async-inputs", content=b"1", headers=headers).json()
    assert problem["type"] == "urn:autopilot:origin"
    v2 = server.client.post("/v2/repository/models/price/load", headers=headers).json()
    assert v2["error"].startswith("Origin is 'http://evil.example', and this server is '127.0.0.1:")


@pytest.mark.parametrize("text", ["models.example", "https://models.example/path", "*", "ftp://models.example"])
def test_what_is_no_origin_cannot_be_allowed(text: str) -> None:
    """It would allow nothing, and nobody would notice."""
    with raises(SettingError, f"The setting origins names {text!r}, which is no origin. Write https://HOST"):
        Origins([text])

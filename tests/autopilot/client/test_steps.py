"""What a client does when nothing comes back, or what it cannot use."""

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import autopilot
from autopilot.client.client import address_of
from autopilot.client.steps import Pause, Reply, Request, Unreachable, ask, at
from storage import FailureError, InputError, UnknownNameError
from storage.errors import ConflictError
from tests.refusals import raises


class Answer(NamedTuple):
    """What the test's server answers; without a status it hangs up."""

    status: int | None = 200
    body: bytes = b'{"items": [], "next": null}'
    headers: Mapping[str, str] = MappingProxyType({})


class Scripted(ThreadingHTTPServer):
    """Answers as the test says, one after the other, and keeps what it was asked."""

    daemon_threads = True
    script: list[Answer]
    asked: list[tuple[str, str, dict[str, str]]]


class Handler(BaseHTTPRequestHandler):
    """Keeps and answers."""

    protocol_version = "HTTP/1.1"
    server: Scripted

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        answer = self.server.script.pop(0)
        if answer.status is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - names of http.server


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted(("127.0.0.1", 0), Handler) as server:
        server.script, server.asked = [], []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(server: Scripted) -> Iterator[autopilot.Client]:
    with autopilot.Client(f"http://127.0.0.1:{server.server_address[1]}/") as client:
        yield client


def test_a_change_is_asked_for_again_with_the_same_key(server: Scripted, client: autopilot.Client) -> None:
    """After a connection that broke, and when the server says so; the next change has another key."""
    busy = Answer(503, b"{}", {"Retry-After": "0"})
    server.script = [Answer(None), busy, Answer(204, b""), Answer(204, b"")]
    client.endpoints.delete("shop")
    client.endpoints.delete("shop")
    keys = [headers["idempotency-key"] for _, _, headers in server.asked]
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]
    assert server.script == []


def test_three_times_are_enough(server: Scripted, client: autopilot.Client) -> None:
    """Then it is told."""
    server.script = [Answer(503, b'{"detail": "The server is full."}', {"Retry-After": "0"})] * 3
    with raises(FailureError, "The server is full."):
        client.endpoints.get("shop")
    server.script = [Answer(None)] * 3
    with raises(FailureError, "No server answers at http://127.0.0.1:"):
        client.endpoints.get("shop")


def test_what_would_be_the_same_again_is_not_asked_again(server: Scripted, client: autopilot.Client) -> None:
    """Refusals, and failures of which the server does not say when to ask again."""
    for status, kind in (
        (400, InputError),
        (404, UnknownNameError),
        (409, ConflictError),
        (412, ConflictError),
        (422, InputError),
        (500, FailureError),
        (503, FailureError),
    ):
        server.script = [Answer(status, b'{"detail": "The reason."}')]
        with raises(kind, "The reason."):
            client.endpoints.get("shop")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"detail"', b"\xff"])
def test_an_answer_that_is_no_problem_is_told_by_its_status(
    server: Scripted, client: autopilot.Client, body: bytes
) -> None:
    """A proxy in between has words of its own."""
    server.script = [Answer(502, body)]
    with raises(FailureError, "The server answered 502 Bad Gateway."):
        client.endpoints.get("shop")


def test_an_answer_of_another_form_is_told(server: Scripted, client: autopilot.Client) -> None:
    """Such as that of a server that is none of ours."""
    server.script = [Answer(200, b"<html>")]
    with raises(FailureError, "The server's answer cannot be read: "):
        client.endpoints.get("shop")
    server.script = [Answer(200, b"{}")]
    with raises(FailureError, "The server's answer holds no predictions: "):
        client.predict_rows("shop", [{}])


def test_pages_are_asked_for_as_they_are_come_to(server: Scripted, client: autopilot.Client) -> None:
    """With the filters of the first; what is not set is not sent."""
    labels = b'{"endpoint": "e", "inference_id": "a", "row": 0, "label": 1, "happened_at": "2024-05-01T00:00:00Z", '
    label = labels + b'"received_at": "2024-05-01T00:00:00Z"}'
    server.script = [
        Answer(200, b'{"items": [' + label + b'], "next": "c1&"}'),
        Answer(200, b'{"items": [], "next": "c2"}'),
        Answer(200, b'{"items": [' + label + b'], "next": null}'),
    ]
    found = client.labels.list("e", inference_id="a")
    assert server.asked == []
    next(found)
    assert len(server.asked) == 1
    assert len(list(found)) == 1
    queries = [parse_qs(urlsplit(path).query) for _, path, _ in server.asked]
    assert queries == [
        {"inference_id": ["a"]},
        {"inference_id": ["a"], "cursor": ["c1&"]},
        {"inference_id": ["a"], "cursor": ["c2"]},
    ]


def test_times_and_truth_are_sent_as_the_server_reads_them(server: Scripted, client: autopilot.Client) -> None:
    """In JSON's words."""
    server.script = [Answer()]
    assert list(client.captures.list("e", start=datetime(2024, 5, 1, 13, 30, tzinfo=UTC))) == []
    assert parse_qs(urlsplit(server.asked[0][1]).query) == {"from": ["2024-05-01T13:30:00Z"]}


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_a_path_would_lose_is_refused_and_nothing_is_asked(
    server: Scripted, client: autopilot.Client, name: str
) -> None:
    """It would be the list of all, or what is above it."""
    for asked in (
        lambda: client.endpoints.get(name),
        lambda: client.endpoints.delete(name),
        lambda: client.predict_rows(name, [{}]),
        lambda: list(client.labels.list(name)),
    ):
        with raises(InputError, f"The name is {name!r}. Give that of one thing, such as 'price'."):
            asked()
    assert server.asked == []


@pytest.mark.parametrize("kind", [autopilot.Client, autopilot.AsyncClient])
@pytest.mark.parametrize(
    "url",
    [
        "nourl",
        "",
        "127.0.0.1:8080",
        "ftp://h",
        "http://",
        "http://h:x",
        "http://h:99999",
        "http://[::1",
        "http://h?a=1",
    ],
)
def test_an_address_that_is_none_is_refused(kind: type[Any], url: str) -> None:
    """Before anything is asked: that no server answers would be told of a right one."""
    with raises(InputError, f"The server's address is {url!r}. Give a URL such as 'http://127.0.0.1:8080'."):
        kind(url)


def test_an_address_may_be_of_ipv6_or_have_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy; the settings' host has no brackets."""
    assert address_of("https://[::1]:8080/ml/") == "https://[::1]:8080/ml"
    monkeypatch.setenv("AUTOPILOT_HOST", "::1")
    assert address_of(None) == "http://[::1]:8080"


@given(st.lists(st.text(min_size=1, max_size=20).filter(lambda name: name not in (".", "..")), max_size=4))
def test_names_of_any_kind_stay_parts_of_a_path(parts: list[str]) -> None:
    """Slashes, points and percent signs too."""
    from urllib.parse import unquote

    found = at(*parts).split("/")
    assert found[:2] == ["", "api"]
    assert [unquote(part, errors="surrogatepass") for part in found[2:]] == parts


@given(st.lists(st.one_of(st.just(Unreachable("u", "r")), st.integers(0, 30)), max_size=2))
def test_steps_neither_wait_nor_send(outcomes: list[Unreachable | int]) -> None:
    """Whoever carries them out does: a failure is followed by a pause of ten seconds at most, and the same request."""
    steps = ask("DELETE", "/api/x", type(None))
    request = next(steps)
    assert isinstance(request, Request)
    for outcome in outcomes:
        found = Reply(503, {"retry-after": str(outcome)}, b"{}") if isinstance(outcome, int) else outcome
        pause = steps.send(found)
        assert isinstance(pause, Pause)
        assert 0 <= pause.seconds <= 10
        assert steps.send(None) == request
    with pytest.raises(StopIteration):
        steps.send(Reply(204, {}, b""))

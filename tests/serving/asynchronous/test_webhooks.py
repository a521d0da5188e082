"""Webhooks are told once what became of an invocation, signed, and only where that is allowed."""

import asyncio
import hashlib
import hmac
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.asynchronous import webhooks as webhooks_module
from serving.asynchronous.views import view
from serving.asynchronous.webhooks import Url, Webhooks
from serving.errors import WebhookError
from storage import FailureError
from storage.records import AsyncInvocation
from storage.signing import signature
from tests.refusals import raises
from tests.serving.asynchronous.conftest import SECRET, Bench, Receiver


def told(bench: Bench, invocation: AsyncInvocation, **policy: Any) -> AsyncInvocation:
    """The invocation, when its webhook was told or given up; the clock is moved to each time that it is tried."""
    queue, worker = bench.store.async_invocations, bench.worker(**policy)

    async def hurry() -> None:
        found = queue.get(invocation.id)
        if found.webhook_due_at is not None and found.webhook_due_at > bench.now():
            bench.later += found.webhook_due_at - bench.now()
            worker.wake()

    bench.run(worker, lambda: queue.get(invocation.id).webhook_status in ("told", "failed"), hurry)
    return queue.get(invocation.id)


def test_a_webhook_is_told_what_became_of_an_invocation(bench: Bench, receiver: Receiver) -> None:
    """Where the answer is, or what went wrong; each with a signature that its receiver can make again."""
    allowed = Webhooks([receiver.url], SECRET)
    done = bench.add(webhook=f"{receiver.url}/done?x=1")
    failed = bench.add(body=b"much,Ulm,2,\n", webhook=f"{receiver.url}/done")
    for invocation in (done, failed):
        assert told(bench, invocation, webhooks=allowed).webhook_status == "told"
    first, second = receiver.received
    assert (first.path, second.path) == ("/done?x=1", "/done")
    body = json.loads(first.body)
    assert body["id"] == done.id == first.headers["x-autopilot-delivery"]
    assert (body["status"], body["inference_id"], body["endpoint"]) == ("completed", "mine", "price")
    assert (body["output_location"], body["failure_location"]) == ("http://here/output", None)
    body = json.loads(second.body)
    assert (body["status"], body["output_location"], body["failure_location"]) == (
        "failed",
        None,
        "http://here/failure",
    )
    assert body["reason"].startswith("Column 'amount' was number in training")
    for received in receiver.received:
        signed = received.headers["x-autopilot-timestamp"].encode() + b"." + received.body
        expected = hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
        assert received.headers["x-autopilot-signature"] == f"sha256={expected}"
        assert received.headers["content-type"] == "application/json"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is the oracle")
def test_the_signature_is_what_openssl_says() -> None:
    """HMAC-SHA256 of timestamp, point and body."""
    command = ["openssl", "dgst", "-sha256", "-hmac", SECRET.decode()]
    done = subprocess.run(command, input=b'1714570200.{"id":"1"}', capture_output=True, check=True)
    assert signature(SECRET, 1_714_570_200, b'{"id":"1"}') == "sha256=" + done.stdout.decode().split()[-1]


def test_a_webhook_that_fails_is_told_again_with_the_same_delivery(bench: Bench, receiver: Receiver) -> None:
    """A redirect is a failure, and nobody asks where it leads."""
    receiver.statuses = [503, 302, 404]
    found = told(bench, bench.add(webhook=f"{receiver.url}/a"), webhooks=Webhooks([receiver.url], SECRET))
    assert (found.webhook_status, found.webhook_attempts, found.webhook_reason) == ("told", 4, None)
    assert {received.path for received in receiver.received} == {"/a"}
    assert {received.headers["x-autopilot-delivery"] for received in receiver.received} == {found.id}


def test_a_webhook_that_goes_on_failing_is_given_up(bench: Bench, receiver: Receiver) -> None:
    """After eight times. The invocation is what it was."""
    receiver.statuses = [500] * 20
    found = told(bench, bench.add(webhook=f"{receiver.url}/a"), webhooks=Webhooks([receiver.url], SECRET))
    assert (found.status, found.webhook_status, found.webhook_attempts) == ("completed", "failed", 8)
    assert found.webhook_reason == f"'{receiver.url}/a' answered with status 500."


def test_the_query_of_a_webhook_is_shown_to_nobody(bench: Bench, receiver: Receiver) -> None:
    """It may hold a token. It is sent, and told neither by the view nor by the reason."""
    receiver.statuses = [500] * 8
    found = told(bench, bench.add(webhook=f"{receiver.url}/a?token=s3cret"), webhooks=Webhooks([receiver.url], SECRET))
    assert {one.path for one in receiver.received} == {"/a?token=s3cret"}
    shown = view(found)
    assert shown.webhook == f"{receiver.url}/a?***"
    assert shown.webhook_reason == f"'{receiver.url}/a?***' answered with status 500."
    given_up = told(bench, bench.add(webhook=f"{receiver.url}/a?token=s3cret"))
    assert given_up.webhook_status == "failed"
    assert "s3cret" not in (given_up.webhook_reason or "s3cret")


def test_a_webhook_that_may_no_longer_be_told_is_given_up_at_once(bench: Bench, receiver: Receiver) -> None:
    """The settings of the server that tells it hold."""
    found = told(bench, bench.add(webhook=f"{receiver.url}/a"))
    assert (found.webhook_status, found.webhook_attempts) == ("failed", 1)
    assert receiver.received == []


def test_a_webhook_whose_server_died_is_told_by_another(bench: Bench, receiver: Receiver) -> None:
    """When the lease has ended."""
    invocation = bench.add(webhook=f"{receiver.url}/a")
    queue = bench.store.async_invocations
    queue.claim("dead", ["price"], bench.now(), lease_s=10)
    queue.finish(invocation.id, "dead", bench.now(), "completed", output_digest=queue.blobs.put(b""))
    assert queue.claim_webhook("dead", bench.now(), lease_s=1) is not None
    bench.later += timedelta(seconds=2)
    found = told(bench, invocation, webhooks=Webhooks([receiver.url], SECRET))
    assert (found.webhook_status, found.webhook_attempts) == ("told", 2)


@asynccontextmanager
async def answering(answer: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncGenerator[str]:
    """The address of a server that answers everything with these bytes, or never."""

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if answer is None:
                await reader.read()
            else:
                await reader.readuntil(b"{}")
                writer.write(answer)
        finally:
            writer.close()

    async with await asyncio.start_server(answered, "127.0.0.1", 0, ssl=tls) as server:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def tell(answer: bytes | None, tls: ssl.SSLContext | None = None) -> None:
    async def run() -> None:
        async with answering(answer, tls) as url:
            await Webhooks([url], SECRET).tell(url, "i1", b"{}", 0)

    asyncio.run(run())


def test_any_success_will_do_and_hints_before_it_are_passed_over() -> None:
    """The answer's body is not read."""
    tell(b"HTTP/1.1 204 No Content\r\n\r\n")
    tell(b"HTTP/1.0 202 Accepted\r\nx: y\r\n\r\nrest")
    tell(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is known will do, as `SSL_CERT_FILE` has it; any other will not."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=h -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", "key", "-out", "certificate"], cwd=tmp_path, check=True, stderr=subprocess.DEVNULL
    )
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with raises(FailureError, "CERTIFICATE_VERIFY_FAILED"):
        tell(b"HTTP/1.1 200 OK\r\n\r\n", tls)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
    tell(b"HTTP/1.1 200 OK\r\n\r\n", tls)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "could not be told: 0 bytes read on a total of undefined expected bytes"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no answer of HTTP: b'SSH-2.0-OpenSSH"),
        (b"HTTP/1.1 200", "could not be told: 12 bytes read"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 40_000, "could not be told: "),
        (b"HTTP/1.1 301 Moved\r\nlocation: /x\r\n\r\n", "answered with status 301."),
        (None, "did not answer in 0 s."),
    ],
)
def test_what_is_no_success_is_a_failure(answer: bytes | None, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of those that never end, or say something else than HTTP."""
    monkeypatch.setattr(webhooks_module, "_SENT_S", 0.2 if answer is None else 10.0)
    with raises(FailureError, message):
        tell(answer)


def test_a_receiver_that_is_not_there_is_a_failure() -> None:
    """As is one whose certificate is nobody's, or that has none."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/", f"https://127.0.0.1:{port}/", "http://name.invalid/"):
        with raises(FailureError, f"'{url}' could not be told"):
            asyncio.run(Webhooks([url], SECRET).tell(url, "i1", b"{}", 0))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "h/p",
            "//h/p",
            "https://",
            "https:///p",
            "ftp://h:21/p",
            "https://h:99999/p",
            "https://h:x/p",
            "file:///p",
        ),
        *("https://u@h/p", "https://u:p@h/p", "https://@h/p", "https://h/p#f", "https://h\\@evil/p", "https://h/p q"),
        *(
            "https://h/a/../p",
            "https://h/./p",
            "https://h/%2e%2E/p",
            "https://h/a%2fp",
            "https://h/\r\nx: y",
            "https://[/p",
        ),
        f"https://h/{'p' * 1024}",
    ],
)
def test_what_could_mean_two_things_is_no_webhook(text: str) -> None:
    """Or what means nothing."""
    with raises(WebhookError, repr(text[:200])):
        Url.of(text)


@pytest.mark.parametrize(
    ("allowed", "text", "is_allowed"),
    [
        ("https://h/done", "https://h/done", True),
        ("https://h/done/", "https://H:443/done/1?x=..", True),
        ("https://h", "https://h/any", True),
        ("https://h/done", "https://h/donex", False),
        ("https://h/done", "https://h/", False),
        ("https://h/done", "http://h/done", False),
        ("https://h/done", "https://h:444/done", False),
        ("https://h/done", "https://h.evil/done", False),
        ("https://h/done", "https://evil/https://h/done", False),
        ("http://[::1]:9/", "http://[::1]:9/x", True),
        ("http://127.0.0.1/", "http://2130706433/", False),
    ],
)
def test_only_what_is_below_an_allowed_address_may_be_told(allowed: str, text: str, is_allowed: bool) -> None:
    """Of the same scheme, host and port, by whole parts of the path."""
    webhooks = Webhooks([allowed], SECRET)
    if is_allowed:
        webhooks.check(text)
    else:
        with raises(WebhookError, f"may not be told. Its address has to begin with {allowed}."):
            webhooks.check(text)


def test_without_allowed_addresses_nobody_is_told() -> None:
    """The remedy is named."""
    with raises(WebhookError, "this server tells none. Allow it by the setting async_webhooks"):
        Webhooks([], b"").check("https://h/")


@given(text=st.text("ahst:/.@\\#?%2eE5cf[]", max_size=30).map("https://h".__add__) | st.text(max_size=30))
def test_whatever_is_written_is_a_webhook_below_or_is_refused(text: str) -> None:
    """Never another host, whatever stands behind its name."""
    try:
        Webhooks(["https://h/a"], SECRET).check(text)
    except WebhookError:
        return
    assert Url.of(text).host == "h"
    assert text.lower().startswith(("https://h/a", "https://h:443/a", "https://h:/a"))

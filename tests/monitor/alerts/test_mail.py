"""E-mail: handed over to a real mail server, encrypted, and refused where that cannot be."""

import email
import json
import shutil
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from email import policy
from pathlib import Path
from typing import Any

import pytest

from monitor.alerts import Mailbox, Senders, mail
from monitor.alerts.mail import tell
from storage import FailureError, SettingError, Store
from storage.settings import Settings
from tests.monitor.alerts.told import HOUR, NOON, SECRET, channel, judge, messenger, schedule
from tests.refusals import raises

controller = pytest.importorskip("aiosmtpd.controller")
smtp = pytest.importorskip("aiosmtpd.smtp")

pytestmark = [
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),
]

BODY = json.dumps(
    {"delivery": "d1", "schedule": "hourly", "endpoint": "till", "check": "drift", "state": "InAlert", "number": 1}
    | {"bad": 2, "of": 3, "datapoints": 2, "scheduled_at": "2024-06-01T12:00:00Z", "report_id": "r1"}
    | {"at": "2024-06-01T12:00:09Z", "window_start": "2024-06-01T11:00:00Z", "window_end": "2024-06-01T12:00:00Z"}
    | {"sentence": "2 of 4 tested columns have drifted, most of all 'amount', by 98%.", "html_path": "/reports/r1"}
    | {"columns": [{"name": "amount", "words": "75% of it."}, {"name": "Straße", "words": "25% of it."}]}
).encode()

#: What people read of that, before the JSON.
TEXT = """\
2 of 4 tested columns have drifted, most of all 'amount', by 98%.

The worst first:
- amount: 75% of it.
- Straße: 25% of it.

Schedule 'hourly' checks drift of endpoint 'till'.
It is InAlert since 2024-06-01 12:00 UTC, by what was due at 2024-06-01 12:00 UTC.
2 of the last 3 verdicts were bad; 2 make an alert.
Traffic from 2024-06-01 11:00 UTC to 2024-06-01 12:00 UTC.
Report: /reports/r1 at the address of your server.

"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, beside its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=h -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", "key", "-out", "certificate"], cwd=folder, check=True, stderr=subprocess.DEVNULL
    )
    return folder / "certificate"


@pytest.fixture(autouse=True)
def known(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine takes the certificate for good."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


class Server:
    """A mail server of aiosmtpd: what it was handed, and how it was asked for it."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.refuses: set[str] = set()

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd has it
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or refuse it."""
        if address in self.refuses:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - as aiosmtpd has it
        """Keep a letter."""
        self.letters.append((envelope, session))
        return "250 taken"

    def parsed(self) -> list[email.message.EmailMessage]:
        """The letters as a reader of mail reads them."""
        return [email.message_from_bytes(envelope.content, policy=policy.default) for envelope, _ in self.letters]


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    return smtp.AuthResult(success=(data.login, data.password) == (b"bot", b"s@ve"), handled=False)


def running(kind: str, certificate: Path, server: Server) -> Any:
    """A mail server on a free port, as `kind` of mailbox expects it."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, certificate.parent / "key")
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0}
    if kind == "smtps":
        options |= {"ssl_context": tls, "authenticator": authenticate, "auth_require_tls": False}
    elif kind == "smtp":
        options |= {"tls_context": tls, "require_starttls": True, "authenticator": authenticate, "auth_required": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Here(server, **options)


class Here(controller.Controller):
    """aiosmtpd's own looks for the port that it was given; this one was given any."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture(params=["smtps", "smtp", "smtp+plain"])
def box(request: pytest.FixtureRequest, certificate: Path) -> Iterator[tuple[Mailbox, Server]]:
    """A mailbox of each kind, and the server behind it."""
    server = Server()
    held = running(request.param, certificate, server)
    held.start()
    user = "" if request.param == "smtp+plain" else "bot:s%40ve@"
    yield Mailbox.of(f"{request.param}://{user}127.0.0.1:{held.port}", "bot@example.com"), server
    held.stop()


def test_a_letter_is_handed_over(box: tuple[Mailbox, Server]) -> None:
    """Encrypted and with a password where the mailbox says so; it says all in its subject."""
    mailbox, server = box
    tell(mailbox, ("a@example.com", "b@example.com"), "d1", BODY, 20)
    [(envelope, session)] = server.letters
    assert (envelope.mail_from, envelope.rcpt_tos) == ("bot@example.com", ["a@example.com", "b@example.com"])
    assert (session.ssl is None) == (mailbox.scheme != "smtp")  # of STARTTLS
    assert bool(session.authenticated) == (mailbox.scheme != "smtp+plain")
    [letter] = server.parsed()
    assert letter["subject"] == "[InAlert] drift of till by schedule hourly"
    assert (letter["from"], letter["to"]) == ("bot@example.com", "a@example.com, b@example.com")
    assert (letter["message-id"], letter["auto-submitted"]) == ("<d1@example.com>", "auto-generated")
    text = letter.get_content().replace("\r\n", "\n")
    assert "2 of the last 3 verdicts were bad; 2 make an alert." in text
    assert text[: text.index("{")] == TEXT
    assert json.loads(text[text.index("{") :]) == json.loads(BODY)


def test_an_alert_is_mailed(store: Store, box: tuple[Mailbox, Server]) -> None:
    """From the verdict to the letter; both changes."""
    mailbox, server = box
    schedule(store, channel("email", "ops@example.com"))
    judge(store, True, False)
    messenger(store, NOON + 2 * HOUR, Senders(SECRET, mailbox)).look()
    assert [one.status for one in store.schedules.alerts.deliveries()] == ["told", "told"]
    letters = {letter["subject"].split()[0]: letter.get_content() for letter in server.parsed()}
    assert sorted(letters) == ["[InAlert]", "[OK]"]
    assert "The last verdict was bad." in letters["[InAlert]"].splitlines()
    assert "The last verdict was not bad." in letters["[OK]"].splitlines()


def test_the_mailbox_is_a_setting() -> None:
    """There is none where nothing is set."""
    assert Senders.of(Settings()).mailbox is None
    found = Senders.of(Settings(smtp_url="smtps://bot:x@h", smtp_from="bot@h.example", webhook_secret="s" * 16))
    assert found == Senders(b"s" * 16, Mailbox("smtps", "h", 465, "bot@h.example", "bot", "x"))


def test_what_the_server_refuses_is_told(box: tuple[Mailbox, Server]) -> None:
    """All recipients, or some."""
    mailbox, server = box
    server.refuses = {"b@example.com"}
    with raises(FailureError, "The mail server '127.0.0.1' refused b@example.com."):
        tell(mailbox, ("a@example.com", "b@example.com"), "d1", BODY, 20)
    with raises(FailureError, "The mail server '127.0.0.1' did not take it: b@example.com: 550 nobody of that name."):
        tell(mailbox, ("b@example.com",), "d1", BODY, 20)


@pytest.mark.parametrize("kind", ["smtps", "smtp"])
@pytest.mark.parametrize(
    ("address", "is_known", "reason"),
    [
        (
            "bot:no@127.0.0.1",
            True,
            "The mail server '127.0.0.1' did not take it: it refuses the user or the password of smtp_url: 535 5.7.8 "
            "Authentication credentials invalid.",
        ),
        (
            "bot:s%40ve@127.0.0.1",
            False,
            "The mail server '127.0.0.1' did not take it: its certificate is not trusted: self-signed certificate.",
        ),
        (
            "bot:s%40ve@localhost",
            True,
            "The mail server 'localhost' did not take it: its certificate is not trusted: Hostname mismatch, "
            "certificate is not valid for 'localhost'.",
        ),
    ],
)
def test_why_the_server_could_not_be_told_is_recorded(
    store: Store,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    address: str,
    is_known: bool,
    reason: str,
) -> None:
    """A wrong password, and before that is sent a certificate that nobody knows or that is another's. It is tried
    again."""
    if not is_known:
        monkeypatch.delenv("SSL_CERT_FILE")
    server = Server()
    held = running(kind, certificate, server)
    held.start()
    schedule(store, channel("email", "ops@example.com"))
    judge(store, True)
    mailbox = Mailbox.of(f"{kind}://{address}:{held.port}", "bot@example.com")
    messenger(store, NOON + HOUR, Senders(SECRET, mailbox)).look()
    held.stop()
    [waiting] = store.schedules.alerts.deliveries()
    assert (waiting.status, waiting.attempts, waiting.reason) == ("waiting", 1, reason)
    assert server.letters == []


def test_a_server_that_is_encrypted_later_is_told(certificate: Path) -> None:
    """`smtps` means from the start."""
    server = Server()
    held = running("smtp", certificate, server)
    held.start()
    with raises(FailureError, "it does not begin with encryption; write smtp:// for smtps:// in smtp_url if it speaks"):
        tell(Mailbox.of(f"smtps://127.0.0.1:{held.port}", "a@b.c"), ("a@example.com",), "d", BODY, 20)
    held.stop()
    assert server.letters == []


def test_what_cannot_be_encrypted_is_not_sent(certificate: Path) -> None:
    """`smtp` means STARTTLS."""
    server = Server()
    held = running("smtp+plain", certificate, server)
    held.start()
    with raises(FailureError, "STARTTLS extension not supported by server."):
        tell(Mailbox.of(f"smtp://127.0.0.1:{held.port}", "a@b.c"), ("a@example.com",), "d", BODY, 20)
    held.stop()
    assert server.letters == []


def test_a_letter_of_a_schedule_that_fails_says_why_and_of_no_report() -> None:
    """There is none."""
    failing = {"state": "Failing", "sentence": "The last check could not be made: no.", "columns": [], "bad": 0}
    nothing = dict.fromkeys(("report_id", "html_path", "window_start", "window_end"))
    letter = mail.letter("a@b.c", ("d@e.f",), "d1", json.dumps({**json.loads(BODY), **failing, **nothing}).encode())
    assert letter["subject"] == "[Failing] drift of till by schedule hourly"
    assert letter.get_content().partition("{")[0] == (
        "The last check could not be made: no.\n\n"
        "Schedule 'hourly' checks drift of endpoint 'till'.\n"
        "It is Failing since 2024-06-01 12:00 UTC, by what was due at 2024-06-01 12:00 UTC.\n\n"
    )


def test_a_subject_stays_one_line() -> None:
    """Whatever an endpoint is called."""
    body = {**json.loads(BODY), "endpoint": "till\r\nBcc: all@example.com"}
    letter = mail.letter("a@b.c", ("d@e.f",), "d1", json.dumps(body).encode())
    assert letter["subject"] == "[InAlert] drift of till??Bcc: all@example.com by schedule hourly"
    assert letter["bcc"] is None


@pytest.mark.parametrize(
    ("url", "sender", "message"),
    [
        ("mail.example.com", "a@b.c", "The setting smtp_url is no address of a mail server."),
        ("https://user:hidden@h", "a@b.c", "or with smtp or smtp+plain for smtps."),
        ("smtps://", "a@b.c", "is no address of a mail server."),
        ("smtps://h:99999", "a@b.c", "is no address of a mail server."),
        ("smtp+plain://u:p@h", "a@b.c", "sends a password without encryption."),
        ("smtps://h", "bot", "The setting smtp_from is 'bot', which is no e-mail address."),
        ("smtps://h", "a@b\nBcc: x@y", "which is no e-mail address."),
    ],
)
def test_a_bad_setting_is_told_without_its_password(url: str, sender: str, message: str) -> None:
    """When the monitor starts."""
    with raises(SettingError, message) as caught:
        Mailbox.of(url, sender)
    assert "hidden" not in str(caught.value)

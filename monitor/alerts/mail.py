"""E-mail: an alert is sent by SMTP, encrypted unless the setting says otherwise."""

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from storage.alerts import NO_MAIL_SERVER, page_of, weighed
from storage.errors import FailureError, SettingError
from storage.instants import minute_of
from storage.records import AlertChange

_PORTS = {"smtps": 465, "smtp": 587, "smtp+plain": 25}


class Mailbox(Struct, frozen=True):
    """Where e-mail is handed over, and whom it is from.

    scheme: `smtps` is encrypted from the start, `smtp` by STARTTLS or not sent at all, `smtp+plain` not encrypted.
    """

    scheme: str
    host: str
    port: int
    sender: str
    user: str | None = None
    password: str | None = None

    @classmethod
    def of(cls, url: str, sender: str) -> "Mailbox":
        """A mailbox by its address. Raises SettingError for what is none.

        >>> box = Mailbox.of("smtps://bot:s%40ve@mail.example.com", "bot@example.com")
        >>> box.host, box.port, box.user, box.password
        ('mail.example.com', 465, 'bot', 's@ve')
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:  # of a port or an address of IPv6
            parts, host, port = urlsplit(""), "", 0
        if parts.scheme not in _PORTS or not host or not port:  # the address may hold a password, so it is not shown
            raise SettingError(
                f"The setting smtp_url is no address of a mail server. Write it as smtps://USER:PASSWORD@HOST, or "
                f"with {' or '.join(list(_PORTS)[1:])} for smtps."
            )
        if parts.scheme == "smtp+plain" and parts.username is not None:
            raise SettingError("The setting smtp_url sends a password without encryption. Use smtps or smtp.")
        if "@" not in sender or any(sign in sender for sign in "\r\n"):
            raise SettingError(f"The setting smtp_from is {sender!r}, which is no e-mail address.")
        user, password = (unquote(part) if part else None for part in (parts.username, parts.password))
        return cls(parts.scheme, host, port, sender, user, password)


def tell(mailbox: Mailbox | None, recipients: Sequence[str], delivery: str, body: bytes, timeout_s: float) -> None:
    """Hand an alert over to the mail server. Raises SettingError without one, FailureError if it does not take it."""
    if mailbox is None:
        raise SettingError(NO_MAIL_SERVER)
    message = letter(mailbox.sender, recipients, delivery, body)
    try:
        with _connected(mailbox, timeout_s) as server:
            if mailbox.user is not None:
                server.login(mailbox.user, mailbox.password or "")
            refused = server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise FailureError(f"The mail server {mailbox.host!r} did not take it: {_why(error)}.") from error
    if refused:
        raise FailureError(f"The mail server {mailbox.host!r} refused {', '.join(sorted(refused))}.")


def _why(error: OSError | smtplib.SMTPException) -> str:
    """What went wrong, in one line without Python's signs."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            why = "; ".join(f"{name}: {_answer(*answer)}" for name, answer in sorted(error.recipients.items()))
        case smtplib.SMTPAuthenticationError():
            why = f"it refuses the user or the password of smtp_url: {_answer(error.smtp_code, error.smtp_error)}"
        case smtplib.SMTPResponseException():
            why = _answer(error.smtp_code, error.smtp_error)
        case ssl.SSLCertVerificationError():
            why = f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER"):
            why = "it does not begin with encryption; write smtp:// for smtps:// in smtp_url if it speaks STARTTLS"
        case _:
            why = str(error) or type(error).__name__
    return why.rstrip(".")


def _answer(code: int, words: bytes | str) -> str:
    """An answer of a mail server, which may have several lines."""
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return " ".join([str(code), *text.split()])


def letter(sender: str, recipients: Sequence[str], delivery: str, body: bytes) -> EmailMessage:
    """The message: a subject that says it all, a few sentences, and the JSON. Each attempt has the same id."""
    change = msgspec.json.decode(body, type=AlertChange)
    message = EmailMessage()
    subject = f"[{change.state}] {change.check} of {change.endpoint} by schedule {change.schedule}"
    message["Subject"] = "".join(sign if sign.isprintable() else "?" for sign in subject)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{delivery}@{sender.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n\n".join([*_paragraphs(change), msgspec.json.format(body).decode()]) + "\n")
    return message


def _paragraphs(change: AlertChange) -> Iterator[str]:
    """What a person wants to know, first things first."""
    if change.sentence:
        yield change.sentence
    if change.columns:
        yield "\n".join(["The worst first:", *(f"- {column.name}: {column.words}" for column in change.columns)])
    yield "\n".join(_facts(change))


def _facts(change: AlertChange) -> Iterator[str]:
    """Whose alert it is, since when and why, a line each."""
    yield f"Schedule {change.schedule!r} checks {change.check} of endpoint {change.endpoint!r}."
    yield f"It is {change.state} since {minute_of(change.at)}, by what was due at {minute_of(change.scheduled_at)}."
    if change.report_id is not None:
        takes = f"; {change.datapoints} make an alert" if change.of > 1 else ""
        yield f"{weighed(change).capitalize()}{takes}."
    if change.window_start is not None and change.window_end is not None:
        yield f"Traffic from {minute_of(change.window_start)} to {minute_of(change.window_end)}."
    if change.report_id is not None:
        yield f"Report: {page_of(change)} at the address of your server."


def _connected(mailbox: Mailbox, timeout_s: float) -> smtplib.SMTP:
    """A connection that is encrypted as the mailbox asks for."""
    if mailbox.scheme == "smtps":
        tls = ssl.create_default_context()
        return smtplib.SMTP_SSL(mailbox.host, mailbox.port, timeout=timeout_s, context=tls)
    server = smtplib.SMTP(mailbox.host, mailbox.port, timeout=timeout_s)
    try:
        if mailbox.scheme == "smtp":
            server.starttls(context=ssl.create_default_context())  # raises where the server cannot
    except BaseException:
        server.close()
        raise
    return server

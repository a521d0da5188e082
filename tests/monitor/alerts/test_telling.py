"""Channels are told: real servers are posted to, real programs run, and a killed monitor loses nothing."""

import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from monitor.alerts import Messenger, Senders, command, webhook
from monitor.alerts.command import StoppedError
from monitor.alerts.messenger import LEASE_S, MOST_ATTEMPTS
from monitor.schedule import utc_now, watching
from storage import FailureError, SettingError, Store
from storage.records import AlertRule, Delivery, Schedule
from storage.signing import signature
from tests import portable, processes
from tests.monitor import till
from tests.monitor.alerts.told import HOUR, NOON, SECRET, channel, judge, messenger, schedule
from tests.refusals import raises
from tests.serving.asynchronous.conftest import Receiver, receiving

LATER = NOON + HOUR / 2


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def receiver(listening: Receiver) -> Receiver:
    """A receiver that was sent nothing yet."""
    listening.received.clear()
    listening.statuses.clear()
    return listening


def deliveries(store: Store) -> list[Delivery]:
    return store.schedules.alerts.deliveries("hourly")


def test_a_webhook_is_told_of_a_change(store: Store, receiver: Receiver) -> None:
    """What changed, as JSON, with a signature that its receiver can make again."""
    schedule(store, channel("webhook", f"{receiver.url}/hook?team=1"))
    judge(store, True)
    messenger(store, LATER).look()
    [received] = receiver.received
    body = json.loads(received.body)
    [told] = deliveries(store)
    assert received.path == "/hook?team=1"
    assert received.headers["content-type"] == "application/json"
    assert body["delivery"] == told.id == received.headers["x-autopilot-delivery"]
    expected = {"schedule": "hourly", "endpoint": "till", "check": "drift", "state": "InAlert", "number": 1}
    expected |= {"bad": 1, "datapoints": 1, "of": 1, "report_id": "r12", "scheduled_at": "2024-06-01T12:00:00Z"}
    assert {name: body[name] for name in expected} == expected
    at_s = received.headers["x-autopilot-timestamp"]
    assert at_s == str(int(LATER.timestamp()))
    made = hmac.new(SECRET, at_s.encode() + b"." + received.body, hashlib.sha256).hexdigest()
    assert received.headers["x-autopilot-signature"] == f"sha256={made}"
    assert (told.status, told.attempts, told.ended_at, told.reason) == ("told", 1, LATER, None)


def test_it_is_signed_as_webhooks_of_async_invocations_are() -> None:
    """One receiver can check both."""
    made = hmac.new(SECRET, b"1714570200.{}", hashlib.sha256).hexdigest()
    assert signature(SECRET, 1_714_570_200, b"{}") == f"sha256={made}"


def test_a_webhook_that_fails_is_told_again_later(store: Store, receiver: Receiver) -> None:
    """With the same id, after pauses that grow; a redirect is a failure, and nobody asks where it leads."""
    receiver.statuses = [503, 302, 404]
    schedule(store, channel("webhook", f"{receiver.url}/a"))
    judge(store, True)
    now, pauses_s = LATER, []
    while (waiting := deliveries(store)[0]).status == "waiting":
        messenger(store, now - timedelta(milliseconds=1)).look()
        assert deliveries(store) == [waiting] or waiting.attempts == 0
        messenger(store, now).look()
        pauses_s.append((deliveries(store)[0].due_at - now).total_seconds())
        now = deliveries(store)[0].due_at
    assert [2**number <= pause <= 2 ** (number + 1) for number, pause in enumerate(pauses_s[:3])] == [True] * 3
    assert {(one.path, one.headers["x-autopilot-delivery"]) for one in receiver.received} == {("/a", waiting.id)}
    assert (deliveries(store)[0].status, deliveries(store)[0].attempts, len(receiver.received)) == ("told", 4, 4)


def test_what_goes_on_failing_is_given_up(store: Store, receiver: Receiver) -> None:
    """With the reason of the last attempt, which does not show where a secret may be."""
    receiver.statuses = [500] * 99
    schedule(store, channel("webhook", f"{receiver.url}/services/s3cret?token=s3cret"))
    judge(store, True)
    for minutes in range(60):
        messenger(store, LATER + timedelta(minutes=10 * minutes)).look()
    [failed] = deliveries(store)
    assert (failed.status, failed.attempts) == ("failed", MOST_ATTEMPTS["webhook"])
    assert failed.reason == f"{receiver.url.removeprefix('http://')!r} answered with status 500."


def test_a_short_secret_signs_nothing(store: Store, receiver: Receiver) -> None:
    """It is tried again: the setting may be mended."""
    schedule(store, channel("webhook", f"{receiver.url}/a"))
    judge(store, True)
    messenger(store, LATER, Senders(b"short")).look()
    [waiting] = deliveries(store)
    assert waiting.status == "waiting"
    assert waiting.reason == ("The setting webhook_secret, which signs webhooks, has 5 characters. Give it 16 or more.")
    messenger(store, LATER + HOUR).look()
    assert deliveries(store)[0].status == "told"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "could not be told: Remote end closed connection without response."),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "could not be told: SSH-2.0-OpenSSH"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000, "could not be told: got more than 100 headers."),
        (b"HTTP/1.1 301 Moved\r\nlocation: /x\r\n\r\n", "answered with status 301."),
        (None, "could not be told: it did not answer in 0.3 s."),
    ],
)
def test_what_is_no_success_is_a_failure(answer: bytes | None, message: str) -> None:
    """Also of those that say something else than HTTP, and of one that says a little, again and again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(b"HTTP/1.1 200 OK\r\n" if answer is None else answer)
                while answer is None and not over.wait(0.02):
                    try:
                        peer.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        with raises(FailureError, message):
            webhook.tell(f"http://127.0.0.1:{server.getsockname()[1]}/", "d", b"{}", SECRET, NOON, 0.3)
        over.set()
        thread.join()


def test_nobody_listening_is_a_failure() -> None:
    """The host is named."""
    with raises(FailureError, "'127.0.0.1:1' could not be told: "):
        webhook.tell("http://127.0.0.1:1/", "d", b"{}", SECRET, NOON, 5)


def test_a_command_gets_the_change_on_its_input(store: Store, tmp_path: Path) -> None:
    """As JSON; its words are as they were given, and no shell reads them."""
    out = tmp_path / "told; rm -rf $HOME"
    script = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    schedule(store, channel("command", sys.executable, "-c", script, str(out), states=["InAlert"]))
    judge(store, True, False)
    messenger(store, LATER + HOUR).look()
    [told] = deliveries(store)
    assert told.status == "told"
    assert json.loads(out.read_text()) == json.loads(told.body)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-such-program"], "'no-such-program' could not be run: No such file or directory."),
        (["/opt/no-such-program", "s3cret"], "'no-such-program' could not be run: No such file or directory."),
        (["a\0b"], "could not be run: embedded null byte."),
        ([sys.executable, "-c", "import sys; sys.exit('no more GPUs')"], "ended with exit code 1.\nno more GPUs"),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], "ended with exit code -9."),
    ],
)
def test_a_command_that_fails_is_told_with_what_it_said(words: list[str], message: str) -> None:
    """And is tried again, as any channel."""
    with raises(FailureError, message):
        command.tell(words, b"{}", 30, threading.Event())


@pytest.mark.skipif(shutil.which("sh") is None, reason="a shell starts a child and waits for it")
def test_a_command_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """Nothing of it is left."""
    words = ["sh", "-c", f"(sleep 300; touch {tmp_path}/x) & echo $! > {tmp_path}/child; wait"]
    with raises(FailureError, "'sh' did not end in 0.5 s."):
        command.tell(words, b"{}", 0.5, threading.Event())
    child = (tmp_path / "child").read_text().strip()
    end = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and "State:\tZ" not in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_command_under_way_is_given_back_when_the_monitor_ends(store: Store) -> None:
    """The attempt does not count, and another monitor runs it again at once."""
    schedule(store, channel("command", sys.executable, "-c", "import time; time.sleep(300)", timeout_s=600))
    judge(store, True)
    threads: list[threading.Thread] = []

    def submit(work: object) -> None:
        threads.append(threading.Thread(target=work))  # type: ignore[arg-type]
        threads[-1].start()

    leaving = Messenger(store, Senders(SECRET), submit, clock=lambda: LATER)
    leaving.look()
    assert (deliveries(store)[0].owner, deliveries(store)[0].attempts) == (leaving.owner, 1)
    leaving.stop()
    threads[0].join(20)
    [back] = deliveries(store)
    assert (back.status, back.owner, back.attempts) == ("waiting", None, 0)
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        command.tell(["true"], b"{}", 10, stop)


def test_a_killed_monitor_told_perhaps_and_another_tells_again(store: Store, receiver: Receiver) -> None:
    """At least once, with one id; not before the lease of the first one ends."""
    schedule(store, channel("webhook", f"{receiver.url}/a"))
    judge(store, True)
    script = """
import os, signal, sys
from datetime import datetime
from monitor.alerts import Messenger, Senders
from storage import Store
class Dying(Senders):
    def send(self, *told):
        super().send(*told)
        os.kill(os.getpid(), signal.SIGKILL)
now = datetime.fromisoformat(sys.argv[2])
Messenger(Store.open(sys.argv[1]), Dying(b"a secret of ours"), lambda work: work(), clock=lambda: now).look()
"""
    processes.run(script, store.root, LATER.isoformat(), returncode=-9)
    messenger(store, LATER + timedelta(seconds=LEASE_S - 1)).look()
    assert (deliveries(store)[0].status, len(receiver.received)) == ("waiting", 1)
    messenger(store, LATER + timedelta(seconds=LEASE_S)).look()
    [told] = deliveries(store)
    assert (told.status, told.attempts) == ("told", 2)
    assert [one.headers["x-autopilot-delivery"] for one in receiver.received] == [told.id] * 2
    assert receiver.received[0].body == receiver.received[1].body


def test_many_processes_tell_each_change_once(store: Store, receiver: Receiver) -> None:
    """Where nobody dies."""
    schedule(store, channel("webhook", f"{receiver.url}/a"))
    judge(store, *([True, False] * 8))
    script = """
import sys
from datetime import datetime
from monitor.alerts import Messenger, Senders
from storage import Store
store, now = Store.open(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
input("ready\\n")
Messenger(store, Senders(b"a secret of ours"), lambda work: work(), clock=lambda: now).look()
"""
    processes.run_at_once(script, store.root, (LATER + 20 * HOUR).isoformat(), count=2)
    assert sorted(json.loads(one.body)["number"] for one in receiver.received) == list(range(1, 17))


def test_a_channel_that_is_gone_is_told_no_more(store: Store) -> None:
    """It was removed by other means than ours."""
    schedule(store, channel("command", "true"))
    judge(store, True)
    with store.schedules._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM channels")
    messenger(store, LATER).look()
    [failed] = deliveries(store)
    assert failed.status == "failed"
    assert str(failed.reason).startswith("The store has no channel 'ops'.")


def test_e_mail_needs_a_mail_server(store: Store) -> None:
    """What is missing is named."""
    with raises(SettingError, "No mail server is set. Set smtp_url and smtp_from"):
        Senders(SECRET).send(
            channel("email", "a@b.c"),
            Delivery("d", "hourly", 1, "ops", "{}", "waiting", NOON, NOON),
            NOON,
            threading.Event(),
        )


def test_a_monitor_says_at_its_start_whom_it_cannot_tell(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Before there is an alert."""
    for made in (channel("command", "no-such-program"), channel("command", "true", name="sound")):
        store.schedules.alerts.put_channel(made)
    with watching(store):
        pass
    assert [record.getMessage() for record in caplog.records if record.name == "monitor"] == [
        "Channel 'ops' cannot be told: 'no-such-program' is no program that can be run. Name one that is there, or its "
        "whole path."
    ]


def test_a_monitor_tells_of_drift(store: Store, receiver: Receiver) -> None:
    """The whole way in a process of its own: traffic that drifted, a due time that was missed, a signed webhook."""
    now = utc_now()
    version = till.deploy(store, portable.classifier(), now - 9 * HOUR)
    till.send(store, version, till.rows(60, seed=1, amount=9.0), now - HOUR / 4)
    store.schedules.alerts.put_channel(channel("webhook", f"{receiver.url}/hook"))
    hourly = Schedule("often", till.ENDPOINT, "every minute", 0.05, now - HOUR / 2, alert=AlertRule(1, 1, ("ops",)))
    store.schedules.put(replace(hourly, start_offset="-PT2H"))
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "monitor", "--store", str(store.root)],
        cwd=processes.ROOT,
        env={**os.environ, "AUTOPILOT_WEBHOOK_SECRET": SECRET.decode()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        end = time.monotonic() + 60
        while not receiver.received and time.monotonic() < end:
            time.sleep(0.1)
        process.terminate()
        assert process.communicate(timeout=60)[1] == ""
    [received] = receiver.received
    body = json.loads(received.body)
    assert (body["state"], body["endpoint"]) == ("InAlert", "till")
    report = store.reports.get(body["report_id"])
    assert report.drifted
    assert body["html_path"] == f"/reports/{report.id}"
    assert body["sentence"] == json.loads(store.reports.read_json(report))["sentence"]
    assert body["columns"][0]["name"] == "amount"
    window = (datetime.fromisoformat(body["window_start"]), datetime.fromisoformat(body["window_end"]))
    assert window == (report.window_start, report.window_end)
    assert store.schedules.alerts.state("often") == "InAlert"


@pytest.mark.slow
def test_drift_has_a_model_trained_again(store: Store, tmp_path: Path) -> None:
    """The command of a channel is `autopilot fit`: a new version of the model is there after it."""
    rows = till.rows(400, seed=3)
    labelled = [{**row, "late": "yes" if row["amount"] > 5 else "no"} for row in rows]
    pl.DataFrame(labelled).write_csv(tmp_path / "new.csv")
    words = [sys.executable, "-m", "autopilot", "fit", str(tmp_path / "new.csv"), "--target", "late"]
    words += ["--name", "demo", "--budget", "5s", "--store", str(store.root)]
    schedule(store, channel("command", *words, states=["InAlert"], timeout_s=300))
    before = store.models.get("demo").version
    judge(store, False, True)
    assert store.models.get("demo").version == before
    messenger(store, LATER + 2 * HOUR).look()
    [told] = deliveries(store)
    assert (told.status, told.reason) == ("told", None)
    assert store.models.get("demo").version == before + 1

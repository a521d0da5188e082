"""Versions are deployed one after another while clients ask without a pause, who notice nothing but the answers."""

import asyncio
import json
import time
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from storage import Store
from tests import portable
from tests.portable import ROWS
from tests.serving.conftest import ServerProcess, serving

SEEN_WITHIN_S = 10.0  # usually a second: clients and server have nothing to do but this; a busy machine takes longer
VERSIONS = 20
CLIENTS = 4
BODY = json.dumps(ROWS[0]).encode()
REQUEST = b"POST /endpoints/demo/invocations HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Seen(NamedTuple):
    """An answer: status, the version by its header and by its value, and when it was asked for and there."""

    status: int
    version: int
    value: float
    asked: float
    there: float


async def ask_until(stop: asyncio.Event, server: ServerProcess, seen: list[Seen]) -> None:
    """Ask on one connection, without a pause, until told to stop. A connection that is closed raises."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    while not stop.is_set():
        asked = time.monotonic()
        writer.write(REQUEST)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        version = int(headers["x-autopilot-model"].removeprefix("demo:"))
        value = body["predictions"][0]["value"]
        seen.append(Seen(int(head.split()[1]), version, value, asked, time.monotonic()))
    writer.close()
    await writer.wait_closed()


async def deploy_while_asking(store: Store, server: ServerProcess) -> tuple[list[Seen], dict[int, float]]:
    """What the clients saw, and when each version was deployed."""
    seen: list[Seen] = []
    deployed: dict[int, float] = {}
    stop = asyncio.Event()
    clients = [asyncio.create_task(ask_until(stop, server, seen)) for _ in range(CLIENTS)]
    for version in range(2, VERSIONS + 2):
        model = portable.regressor(shift=float(version))
        await asyncio.to_thread(portable.publish, store, model, endpoint="demo")
        deployed[version] = time.monotonic()
        await asyncio.sleep(0.2)
    last = VERSIONS + 1
    over = deployed[last] + SEEN_WITHIN_S
    while time.monotonic() < over and not any(answer.version == last for answer in seen[-CLIENTS:]):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # answers after the last change count too
    stop.set()
    await asyncio.gather(*clients)
    return seen, deployed


@pytest.mark.slow
def test_twenty_versions_are_deployed_under_load_and_no_request_fails(store: Store) -> None:
    """Each answer is of the version that it says, one that was live meanwhile; the last one is seen."""
    portable.publish(store, portable.regressor(shift=1.0), endpoint="demo")
    with serving(store) as server:
        seen, deployed = asyncio.run(deploy_while_asking(store, server))
        assert server.stop() == 0
        assert "ERROR" not in server.log
    assert {answer.status for answer in seen} == {200}
    assert all(answer.value == 1.0 + answer.version for answer in seen)  # 1 is the first row's score without shift
    deployed[1] = 0.0
    for answer in seen:
        began = deployed[answer.version] - 1.0  # the record is there some time before `publish` returns
        over = deployed.get(answer.version + 1, float("inf")) + SEEN_WITHIN_S
        assert began <= answer.there
        assert answer.asked <= over
    last = VERSIONS + 1
    assert min(answer.there for answer in seen if answer.version == last) - deployed[last] < SEEN_WITHIN_S
    by_time = sorted(seen, key=lambda answer: answer.asked)
    assert all(answer.version == last for answer in by_time if answer.asked > deployed[last] + SEEN_WITHIN_S)
    assert len(seen) > 100
    assert len({answer.version for answer in seen}) > 2  # those within one look at the store are one change

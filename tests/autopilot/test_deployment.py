"""`autopilot deploy` tells what became of it: a server that could not load the version is no success."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from autopilot import __version__
from autopilot.__main__ import run
from autopilot.deployment import Taken, follow, told
from storage import Store
from storage.errors import FailureError
from storage.records import Endpoint, Server, Serving, Variant
from tests import portable
from tests.records import NOW
from tests.serving.conftest import serving

PRICE = Endpoint("price", (Variant("main", "price", 2),), 7, NOW, NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with price:1, and price:2 whose file is not what it was."""
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.regressor(), name="price")
    broken = portable.publish(store, portable.regressor(0.5), name="price")
    path = next((store.root / "blobs").rglob(broken.digest))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-9])
    yield store
    store.close()


def deploy(store: Store, *arguments: str) -> int:
    """Run the command on a store; its exit code."""
    return run(["deploy", *arguments, "--endpoint", "price", "--store", str(store.root)])


def beat(store: Store, id: str, serving: Serving | None = None) -> None:
    """Have a server say that it is there, and what it makes of `price`."""
    now = datetime.now(UTC)
    store.servers.beat(Server(id, "here", 1, now, now, {} if serving is None else {"price": serving}))


def test_a_version_that_a_server_refuses_fails_with_its_reason(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, also with --json; the version before goes on, and what can be loaded is told as served."""
    with serving(store) as server:
        assert deploy(store, "price:1") == 0
        assert "Endpoint price serves price:1, on all servers that run (1)." in capsys.readouterr().out
        assert deploy(store, "price:2", "--json") == 1
        out, err = capsys.readouterr()
        assert json.loads(out)["variants"][0]["version"] == 2
        assert "1 of 1 servers could not load price:2 for endpoint 'price', and go on with what they had: " in err
        assert store.endpoints.get("price").version == 2
        answer = server.client.post("/endpoints/price/invocations", json=portable.ROWS[0])
        assert answer.headers["x-autopilot-model"] == "price:1"


def test_without_a_server_it_says_where_to_look_later(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has tried to load it."""
    assert deploy(store, "price:2") == 0
    out = capsys.readouterr().out
    assert "Endpoint price is to serve price:2; no server runs yet." in out
    assert "autopilot endpoints show price tells whether it could load it" in out


def test_what_each_server_says_of_the_revision_counts(store: Store) -> None:
    """One has it, one a later one, one could not load it, one failed at an earlier one, one knows nothing of it."""
    for at, said in enumerate((Serving(7), Serving(8), Serving(6, 7, "Broken."), Serving(5, 6, "Older."), None)):
        beat(store, str(at), said)
    assert follow(store, PRICE, wait_s=0) == Taken(serving=2, waiting=2, failed=("Broken.",))


def test_servers_that_have_not_said_yet_are_told_as_such() -> None:
    """And the refusal of one outweighs what others have loaded."""
    assert "price:2; 1 of 3 servers have not loaded it yet." in told(PRICE, Taken(2, 1))
    with pytest.raises(FailureError, match=r"1 of 3 servers could not load price:2 .* had: Broken\."):
        told(PRICE, Taken(1, 1, ("Broken.",)))


@pytest.mark.parametrize("command", [["deploy", "price", "--endpoint", "price"], ["endpoints", "show", "price"]])
def test_the_programs_version_is_told_at_the_top_only(
    store: Store, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Below it, `--version 1` is no option: nothing is deployed, and nobody is told that it was."""
    assert run([*command, "--version", "1", "--store", str(store.root)]) == 2
    assert "Unknown option: --version" in capsys.readouterr().err
    assert store.endpoints.list() == []
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__

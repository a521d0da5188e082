"""The client, in both of its forms, against a server as users have it."""

import asyncio
import inspect
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

import autopilot
from autopilot.client.calls import Noun
from storage import FailureError, InputError, Store, UnknownNameError
from storage.errors import ConflictError
from storage.records import AlertRule, CapturePolicy, EndpointLimits, Variant
from tests import portable
from tests.records import NOW, execution, report, run, trial
from tests.refusals import raises
from tests.serving.conftest import ServerProcess, serving

MAIN = Variant("main", "classifier", 1)
NEW = Variant("new", "classifier", 2)


class Both:
    """A client whose methods are called on either form; lists are given whole."""

    def __init__(self, client: Any, run: Callable[[Any], Any]) -> None:
        self._client = client
        self._run = run

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if isinstance(found, Noun):
            return Both(found, self._run)
        return self._called(found) if callable(found) else found

    def _called(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            found = method(*args, **kwargs)
            if inspect.iscoroutine(found):
                found = self._run(found)
            elif hasattr(found, "__aiter__"):
                found = self._run(gathered(found))
            elif hasattr(found, "__next__"):
                found = list(found)
            return Both(found, self._run) if isinstance(found, Noun) else found

        return call


async def gathered(found: Any) -> list[Any]:
    return [item async for item in found]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store.open(tmp_path_factory.mktemp("client") / "store")
    for shift in (0.0, 1.0):
        portable.publish(store, portable.classifier(shift), name="classifier", now=NOW)
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price", now=NOW)
    store.runs.start(run("searched", experiment="search"))
    store.runs.add_trial(trial(0, run_id="searched"))
    store.runs.add_event("searched", NOW, "began")
    json_digest, html_digest, markdown_digest = map(
        store.blobs.put, (b'{"verdict": "drift"}', b"<!doctype html>", "# Drift · été\n".encode())
    )
    late = replace(report("d1", endpoint="price"), json_digest=json_digest, html_digest=html_digest)
    store.reports.add(replace(late, markdown_digest=markdown_digest))
    store.reports.add(replace(late, id="d0", created_at=NOW - timedelta(days=1)))  # of before there was Markdown
    store.schedules.claim(execution("price"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[ServerProcess]:
    with serving(store) as server:
        yield server


@pytest.fixture(params=["waiting", "awaited"])
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Any]:
    if request.param == "waiting":
        with autopilot.Client(server.url) as client:
            yield Both(client, lambda found: found)
        return
    with asyncio.Runner() as runner:
        client = autopilot.AsyncClient(server.url)
        yield Both(client, runner.run)
        runner.run(client.close())


@pytest.fixture
def name(request: pytest.FixtureRequest, store: Store) -> str:
    """Of an endpoint of the test's own."""
    name = f"e{abs(hash(request.node.name))}"
    store.endpoints.deploy(name, store.models.get("classifier:1"), NOW)
    return name


def test_a_baseline_is_kept_and_removed(client: Any, name: str) -> None:
    """As it was seen, or not at all."""
    constraints = {"features": [{"name": "visits", "inferred_type": "Integral", "completeness": 0.5}]}
    made = client.baselines.put(name, constraints, only_new=True)
    assert client.baselines.get(name) == made
    again = client.baselines.put(name, made.constraints.json(), seen=made)
    assert again.constraints == made.constraints
    with raises(ConflictError, "If-Match is"):
        client.baselines.delete(name, seen=made)
    client.baselines.delete(name, seen=again)
    with raises(UnknownNameError, "No baseline is kept for endpoint"):
        client.baselines.get(name)


def test_an_endpoint_is_made_changed_and_deleted(client: Any) -> None:
    """As it was seen, or not at all."""
    made = client.endpoints.put("shop", [MAIN], only_new=True)
    with raises(ConflictError, "If-None-Match is '*', and endpoint 'shop' is there"):
        client.endpoints.put("shop", [MAIN], only_new=True)
    put = client.endpoints.put("shop", [MAIN, NEW], seen=made, limits=EndpointLimits(max_rows=5))
    assert [variant.name for variant in put.variants] == ["main", "new"]
    with raises(ConflictError, "If-Match is"):
        client.endpoints.weights("shop", {"new": 3}, seen=made)
    assert client.endpoints.weights("shop", {"new": 3}, seen=put).variants[1].weight == 3.0
    changed = client.endpoints.change("shop", capture=CapturePolicy(share=0.0))
    assert (changed.capture.share, changed.limits.max_rows) == (0.0, 5)
    (listed,) = [one for one in client.endpoints.list() if one.name == "shop"]
    client.endpoints.delete("shop", seen=listed)
    with raises(UnknownNameError, "The store has no endpoint 'shop'."):
        client.endpoints.get("shop")


def test_what_is_predicted_can_be_looked_at_labelled_and_replayed(client: Any, name: str) -> None:
    """By the inference id."""
    client.endpoints.wait(name)
    frame = client.predict(name, list(portable.ROWS), inference_id="order-1")
    assert frame.columns == ["label", "p_no", "p_yes"]
    rows = client.predict_rows(name, portable.ROWS, variant="main")
    assert frame.get_column("label").to_list() == [row["label"] for row in rows]
    assert client.predict(name, pl.DataFrame(list(portable.ROWS), infer_schema_length=None)).equals(frame)
    with raises(InputError, "Column 'amount' was number in training; row 0 holds 'x'."):
        client.predict_rows(name, [{**portable.ROWS[0], "amount": "x"}])

    assert client.labels.put(name, [{"inference_id": "order-1", "label": "yes"}]).new == 1
    assert [label.label for label in client.labels.list(name)] == ["yes"]
    end = time.monotonic() + 60
    while sum(counted.requests for counted in client.captures.summary(name)) < 3:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert {captured.inference_id for captured in client.captures.list(name)} >= {"order-1"}
    assert client.captures.replay(name).is_identical
    (quality,) = client.labels.summary(name).versions
    assert (quality.model, quality.rows) == ("classifier", 1)


def test_models_have_aliases_and_are_deleted(client: Any, store: Store) -> None:
    """Those that nothing uses."""
    for shift in (0.0, 1.0):
        portable.publish(store, portable.classifier(shift), name="aliased")
    assert [model.version for model in client.models.list("aliased")][:2] == sorted(
        (model.version for model in client.models.list("aliased")), reverse=True
    )[:2]
    newest = client.models.get("aliased").version
    alias = client.models.alias("aliased", "production", newest)
    assert client.models.get("aliased:production").version == newest
    assert client.models.aliases("aliased") == [alias]
    with raises(ConflictError, f"Model version 'aliased:{newest}' is used by alias 'production'."):
        client.models.delete("aliased", newest)
    client.models.unalias("aliased", "production")
    client.models.delete("aliased", newest)
    assert client.models.get("aliased").version == newest - 1


def test_a_rollout_is_begun_seen_and_ended(client: Any, name: str) -> None:
    """By hand."""
    begun = client.rollouts.start(name, "classifier:2", share=0.5, wait_s=600)
    assert client.rollouts.get(begun.id).share == 0.5
    assert [one.id for one in client.rollouts.list(endpoint=name, status="running")] == [begun.id]
    assert client.rollouts.stop(name).status == "stopped"
    assert client.rollouts.wait(begun.id).status == "stopped"
    assert client.rollouts.rollback(name).status == "rolled back"


def test_a_batch_is_waited_for(client: Any, tmp_path: Path) -> None:
    """Its job is a thing that can be asked."""
    source = tmp_path / "in.ndjson"
    source.write_text("".join(json.dumps(row) + "\n" for row in portable.ROWS))
    job = client.jobs.batch("regressor", str(source), str(tmp_path / "out.csv"))
    assert (job.wait().status, job.look().result.rows) == ("completed", len(portable.ROWS))
    assert job.id in [one.id for one in client.jobs.list(status="completed")]
    with raises(InputError, "There is nothing left to stop."):
        client.jobs.get(job.id).stop()


def test_a_batch_that_fails_is_told_with_its_reason(server: ServerProcess, tmp_path: Path) -> None:
    """By whoever waits for it."""
    (tmp_path / "short.csv").write_text("amount,town\n1,Ulm\n")
    with autopilot.Client(server.url) as client:
        failing = client.jobs.batch("regressor", str(tmp_path / "short.csv"), str(tmp_path / "no.csv"))
        with raises(FailureError, f"Job {failing.id} failed: "):
            failing.wait()


def test_a_backtest_is_asked_for_looked_at_and_stopped(client: Any, name: str) -> None:
    """Of a schedule that stays as it is; who finds it by its id may stop it too."""
    schedule = client.schedules.put(name, "0 * * * *")
    start = NOW - timedelta(days=2)
    job = client.schedules.backtest(name, start=start, end=NOW, level=0.2, alert=AlertRule(2, 3))
    assert (job.job.schedule.level, job.job.schedule.alert, job.job.start) == (0.2, AlertRule(2, 3), start)
    assert (job.look().status, job.look().reason) == ("queued", "it waits for a monitor, which looks each second")
    assert client.backtests.get(job.id).stop().status == "stopped"
    assert (job.wait().status, job.wait().result) == ("stopped", None)
    assert [one.id for one in client.backtests.list(name)] == [job.id]
    assert client.schedules.get(name) == schedule
    with raises(InputError, "level is 0.1 and budget '1 per day', which decides the level. Give one of them."):
        client.schedules.backtest(name, level=0.1, budget="1 per day")


def test_schedules_reports_runs_and_servers_are_read(client: Any, name: str) -> None:
    """As the server has them."""
    schedule = client.schedules.put(name, "0 * * * *")
    assert client.schedules.get(name) == schedule
    assert schedule in client.schedules.list()
    assert client.schedules.pause(name).paused is True
    assert client.schedules.run(name).asked is True
    resumed = client.schedules.resume(name)
    assert [one.status for one in client.schedules.executions(name)] == ["pending"]
    assert [one.state for one in client.schedules.alerts() if one.schedule == name] == ["OK"]
    assert list(client.schedules.changes(name)) == []
    assert list(client.schedules.deliveries(name, status="waiting")) == []
    nightly = client.schedules.put(f"{name}-nightly", "30 2 * * *", endpoint=name, zone="Europe/Berlin")
    assert (nightly.endpoint, nightly.zone) == (name, "Europe/Berlin")
    client.schedules.delete(nightly.name)
    with raises(InputError, "Look at it again, and repeat what is still wanted."):
        client.schedules.delete(name, seen=schedule)
    schedule = resumed
    client.schedules.delete(name, seen=schedule)
    assert [one.status for one in client.schedules.executions("price")] == ["running"]
    assert [one.id for one in client.reports.list("price")] == ["d1", "d0"]
    assert client.reports.get("d1") == {"verdict": "drift"}
    assert client.reports.html("d1") == "<!doctype html>"
    assert client.reports.markdown("d1") == "# Drift · été\n"
    with raises(UnknownNameError, "Report d0 is older than reports in Markdown"):
        client.reports.markdown("d0")
    assert [one.id for one in client.runs.list(experiment="search")] == ["searched"]
    assert client.runs.get("searched").status == "running"
    assert [one.number for one in client.runs.trials("searched")] == [0]
    assert [one.kind for one in client.runs.events("searched")] == ["began"]
    assert "search" in [one.name for one in client.runs.experiments()]
    assert len(client.servers.list()) == 1
    assert client.async_invocations.list("price") == []
    with raises(UnknownNameError, "'none'"):
        client.async_invocations.get("none")


def test_an_endpoint_that_cannot_be_loaded_is_not_waited_for(client: Any, store: Store, name: str) -> None:
    """It fails with the server's reason."""
    broken = portable.publish(store, portable.classifier(9.0), name=f"broken-{name}")
    store.blobs.path(broken.digest).write_bytes(b"")
    client.endpoints.put(name, [Variant("main", broken.name, broken.version)])
    with raises(FailureError, f"Endpoint '{name}' is Failed: No server could load revision 2: "):
        client.endpoints.wait(name)

"""What Prometheus scrapes is what was asked of the server."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from storage import Store
from storage.records import AlertRule, CapturePolicy, Channel, Execution, ExecutionStatus, Schedule
from tests import portable
from tests.portable import ROWS
from tests.serving.conftest import ROOT, ServerProcess, serving

GUIDE = (ROOT / "docs" / "observability.md").read_text()


class Scrape:
    """A server's metrics at one time."""

    def __init__(self, server: ServerProcess) -> None:
        self.families = list(parse(server.client.get("/metrics").text))

    def value(self, name: str, **labels: str) -> float:
        """The only sample of a name with these labels."""
        (found,) = [
            sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return found


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that has answered two requests of four rows and refused three."""
    store = Store.open(tmp_path_factory.mktemp("asked") / "store")
    portable.publish(store, portable.classifier(), name="classifier", endpoint="paid")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    with serving(store) as server:
        for body in (ROWS, ROWS, [{"amount": 1}]):
            server.client.post("/endpoints/paid/invocations", json=body)
        server.client.post("/endpoints/paid/invocations", json=ROWS, headers={"accept": "image/png"})
        server.client.post("/endpoints/never/invocations", json=ROWS)
        server.client.post("/v1/models/price:predict", json={"instances": ROWS})
        yield server
    store.close()


def test_requests_are_counted_by_endpoint_model_version_protocol_and_status(asked: ServerProcess) -> None:
    """And refusals by their reason; a name that no endpoint has becomes no label."""
    scrape = Scrape(asked)
    paid = {"endpoint": "paid", "model": "classifier", "version": "1", "protocol": "invocations"}
    assert scrape.value("autopilot_requests_total", **paid, status="200") == 2
    assert scrape.value("autopilot_requests_total", **paid, status="400") == 1
    assert scrape.value("autopilot_requests_total", **paid, status="406") == 1
    assert scrape.value("autopilot_refused_requests_total", **paid, reason="row") == 1
    assert scrape.value("autopilot_refused_requests_total", **paid, reason="accept") == 1
    assert scrape.value("autopilot_requests_total", endpoint="price", protocol="v1", status="200") == 1
    assert scrape.value("autopilot_refused_requests_total", endpoint="", reason="unknown-endpoint") == 1
    assert "never" not in asked.client.get("/metrics").text


def test_rows_runs_and_times_are_counted(asked: ServerProcess) -> None:
    """Each answer in all four phases."""
    scrape = Scrape(asked)
    paid = {"endpoint": "paid", "model": "classifier", "version": "1"}
    assert scrape.value("autopilot_predicted_rows_total", **paid) == 8
    assert scrape.value("autopilot_run_rows_bucket", **paid, le="2.0") == 0
    assert scrape.value("autopilot_run_rows_bucket", **paid, le="5.0") == 2
    assert scrape.value("autopilot_run_rows_sum", **paid) == 8
    assert scrape.value("autopilot_request_duration_seconds_count", **paid) == 2
    total = scrape.value("autopilot_request_duration_seconds_sum", **paid)
    phases = [
        scrape.value("autopilot_request_phase_duration_seconds_sum", **paid, phase=phase)
        for phase in ("read", "queue", "run", "write")
    ]
    assert sum(phases) == pytest.approx(total)
    assert scrape.value("autopilot_requests_in_flight", **paid) == 0


def test_schedules_and_their_alerts_are_told(tmp_path: Path) -> None:
    """As the store has them, whatever monitor found it."""
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.classifier(), endpoint="paid")
    with serving(store) as server:
        _check_alerts(store, server)
    store.close()


def _check_alerts(store: Store, asked: ServerProcess) -> None:
    now = datetime(2024, 5, 1, tzinfo=UTC)
    store.schedules.alerts.put_channel(Channel("ops", "command", ("true",), ("InAlert",), 10.0, now))
    store.schedules.put(Schedule("hourly", "paid", "0 * * * *", 0.05, now, alert=AlertRule(1, 1, ("ops",))))
    store.schedules.ask("hourly", now + timedelta(minutes=1))
    store.schedules.plan([Execution("hourly", now, "pending", now)], now, waiting=1)
    labels = {"schedule": "hourly", "endpoint": "paid"}
    assert Scrape(asked).value("autopilot_schedule_in_alert", **labels, check="drift") == 0
    taken = store.schedules.take("me", now, ready=now, lease_s=60)
    assert taken is not None
    store.schedules.end(replace(taken[1], status="completed", ended_at=now, lease_until=None, breached=True))
    scrape = Scrape(asked)
    assert scrape.value("autopilot_schedule_in_alert", **labels, check="drift") == 1
    counts = {
        status: scrape.value("autopilot_schedule_executions", **labels, status=status)
        for status in get_args(ExecutionStatus)
    }
    assert counts == {"pending": 1, "running": 0, "completed": 1, "failed": 0, "missed": 0}
    assert scrape.value("autopilot_alert_deliveries", status="waiting") == 1
    assert scrape.value("autopilot_schedule_lag_seconds") > 86_400
    assert scrape.value("autopilot_schedule_failing", **labels, check="drift") == 0
    later = now + timedelta(hours=1)
    store.schedules.plan([Execution("hourly", later, "running", later)], later, waiting=1)
    store.schedules.end(Execution("hourly", later, "failed", later, ended_at=later, reason="no"))
    scrape = Scrape(asked)
    assert scrape.value("autopilot_schedule_failing", **labels, check="drift") == 1
    assert scrape.value("autopilot_schedule_in_alert", **labels, check="drift") == 0


def test_triton_names_stand_for_the_same(asked: ServerProcess) -> None:
    """By endpoint, which is what Triton's protocol calls a model; without the suffix of a counter."""
    scrape = Scrape(asked)
    paid = {"model": "paid", "version": "1"}
    assert scrape.value("nv_inference_request_success", **paid) == 2
    assert scrape.value("nv_inference_request_failure", **paid) == 2
    assert scrape.value("nv_inference_count", **paid) == 8
    assert scrape.value("nv_inference_exec_count", **paid) == 2
    assert scrape.value("nv_inference_pending_request_count", **paid) == 0
    for name in ("request", "queue", "compute_input", "compute_infer", "compute_output"):
        assert scrape.value(f"nv_inference_{name}_duration_us", **paid) >= 0


def test_openmetrics_is_written_where_it_is_asked_for(asked: ServerProcess) -> None:
    """And is sound by its own parser, which is strict."""
    answer = asked.client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    plain = asked.client.get("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert len(list(parse_openmetrics(answer.text))) == len(list(parse(plain.text)))


def test_each_metric_is_in_the_guide_and_has_help(asked: ServerProcess) -> None:
    """Those of the process are Prometheus' own."""
    told = set(re.findall(r"`((?:autopilot|nv)_\w+)`", GUIDE))
    families = [family for family in Scrape(asked).families if not family.name.startswith("process_")]
    assert {family.name + ("_total" if family.type == "counter" else "") for family in families} == told
    assert all(family.documentation for family in families)


def test_failed_loads_are_counted_and_counts_outlive_a_redeploy(store: Store) -> None:
    """Of a version that is deployed again, and of one that is damaged."""
    version = portable.publish(store, portable.regressor(), endpoint="demo")
    with serving(store) as server:
        server.client.post("/invocations", json=ROWS)
        store.endpoints.deploy("demo", version, datetime.now(UTC), capture=CapturePolicy(share=0.0))
        wait_for(server, "autopilot_endpoint_revision", 2)
        server.client.post("/invocations", json=ROWS)
        assert Scrape(server).value("autopilot_predicted_rows_total", endpoint="demo") == 8
        assert Scrape(server).value("autopilot_model_loads_total", endpoint="demo") == 1
        broken = portable.publish(store, portable.regressor(shift=1))
        (store.root / "blobs" / broken.digest[:2] / broken.digest).write_bytes(b"damaged")
        store.endpoints.deploy("demo", broken, datetime.now(UTC))
        wait_for(server, "autopilot_model_load_failures_total", 1)
        assert Scrape(server).value("autopilot_endpoint_info", endpoint="demo", version="1") == 1


def wait_for(server: ServerProcess, name: str, count: int) -> None:
    end = time.monotonic() + 60
    while Scrape(server).value(name, endpoint="demo") < count:
        assert time.monotonic() < end
        time.sleep(0.05)

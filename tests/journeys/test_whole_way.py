"""What the README promises, done as a user would do it: real processes, real HTTP, real files."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest

import autopilot

FLIGHTS = Path(autopilot.__file__).parent / "demo_data/flights.parquet"
TARGET = "late"


class Shop:
    """A folder with a store, and the command line on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.environ = {
            **os.environ,
            "AUTOPILOT_STORE": str(folder / "store"),
            "AUTOPILOT_PORT": str(self.port),
            "PYTHONWARNINGS": "error",
        }

    def run(self, *arguments: str, code: int = 0) -> str:
        """A command's standard output, after it ended with `code`."""
        command = [sys.executable, "-m", "autopilot", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout

    def post(self, path: str, body: bytes, kind: str = "application/json") -> bytes:
        """What the server answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def get(self, path: str) -> bytes:
        """What the server answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return bytes(answer.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A fitted and deployed model of the early flights, and `autopilot serve` running."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    flights = pl.read_parquet(FLIGHTS)
    flights.head(6000).write_csv(shop.folder / "early.csv")
    summer = flights.filter(pl.col("scheduled_departure").dt.month().is_between(6, 8))
    live = summer.gather_every(summer.height // 2000).head(2000)
    live.drop(TARGET).write_parquet(shop.folder / "live.parquet")
    shop.run("fit", "early.csv", "--target", TARGET, "--name", "flights", "--budget", "12s", "--json")
    shop.run("deploy", "flights", "--endpoint", "flights")
    server = subprocess.Popen([sys.executable, "-m", "autopilot", "serve"], cwd=shop.folder, env=shop.environ)
    wait_for_ping(shop)
    yield shop
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=60) == 0


def wait_for_ping(shop: Shop) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if b'"live":true' in shop.get("/api/endpoints"):
                return
        except OSError:
            assert time.monotonic() < deadline, "the server did not answer"
        time.sleep(0.1)


def live_rows(shop: Shop, count: int) -> pl.DataFrame:
    return pl.read_parquet(shop.folder / "live.parquet").head(count)


def test_json_csv_and_the_predict_command_give_the_same_probabilities(shop: Shop) -> None:
    """Three ways to ask, one answer."""
    rows = live_rows(shop, 60)
    shop.run("predict", "flights", "live.parquet", "-o", "scored.parquet")
    scored = pl.read_parquet(shop.folder / "scored.parquet")
    assert scored.columns == ["label", "p_no", "p_yes"]
    assert scored.height == 2000

    answer = json.loads(shop.post("/endpoints/flights/invocations", rows.write_json().encode()))
    by_json = [row["probabilities"]["yes"] for row in answer["predictions"]]
    lines = shop.post("/invocations", rows.write_csv(include_header=False).encode(), "text/csv").decode().splitlines()
    by_csv = [float(line.split(",")[2]) for line in lines]

    np.testing.assert_allclose(by_json, scored["p_yes"][:60], rtol=0, atol=1e-7)
    np.testing.assert_allclose(by_csv, scored["p_yes"][:60], rtol=0, atol=1e-7)
    assert [row["label"] for row in answer["predictions"]] == scored["label"][:60].to_list()


def test_the_onnx_file_alone_gives_the_same_predictions(shop: Shop) -> None:
    """onnxruntime and the raw columns, nothing of ours."""
    model = autopilot.load("flights", store=shop.folder / "store")
    path = model.save(shop.folder / "alone.onnx")
    rows = live_rows(shop, 300)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds: dict[str, Any] = {}
    for spec in session.get_inputs():
        column = rows.get_column(spec.name)
        if spec.type == "tensor(double)":
            feeds[spec.name] = column.cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, 1)
        elif spec.type == "tensor(string)":
            feeds[spec.name] = np.array(column.fill_null("").to_list(), dtype=object).reshape(-1, 1)
        else:
            feeds[spec.name] = column.to_physical().fill_null(-(2**63)).to_numpy().reshape(-1, 1)
    label, shares = session.run(["label", "probabilities"], feeds)
    ours = model.predict(rows)
    assert label.tolist() == ours["label"].to_list()
    np.testing.assert_allclose(shares[:, 1], ours["p_yes"].to_numpy(), rtol=0, atol=1e-6)


def test_a_wrong_row_is_answered_with_its_row_and_column(shop: Shop) -> None:
    """422-like words in a 4xx, never a 500."""
    rows = live_rows(shop, 3).to_dicts()
    rows[2]["distance"] = "far"
    body = json.dumps(rows, default=str).encode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        shop.post("/endpoints/flights/invocations", body)
    problem = json.loads(caught.value.read())
    assert caught.value.code == 400
    assert (problem["row"], problem["column"]) == (2, "distance")
    assert "'far'" in problem["detail"]


def test_a_new_version_is_served_without_a_restart(shop: Shop) -> None:
    """Deploying another version changes what the running server answers with."""
    shop.run("fit", "early.csv", "--target", TARGET, "--name", "flights", "--budget", "6s", "--seed", "7", "--json")
    deployed = json.loads(shop.run("deploy", "flights", "--endpoint", "flights", "--json"))
    body = live_rows(shop, 1).write_json().encode()
    deadline = time.monotonic() + 60
    while True:
        request = urllib.request.Request(
            f"http://127.0.0.1:{shop.port}/endpoints/flights/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            served = answer.headers["x-autopilot-model"]
        if served == f"flights:{deployed['variants'][0]['version']}":
            return
        assert time.monotonic() < deadline, served
        time.sleep(0.1)


def test_live_traffic_of_another_season_is_reported_as_drift(shop: Shop) -> None:
    """Winter flights trained, summer flights sent: the report names what changed, as JSON and as a page."""
    shop.post("/endpoints/flights/invocations", live_rows(shop, 1000).write_json().encode())
    time.sleep(3)  # captured traffic is complete after two seconds
    report = json.loads(shop.run("monitor", "run", "flights", "--json", "--out", "report.html"))
    assert report["verdict"] == "drift"
    assert report["drifted"] is True
    assert report["rows"] >= 1000
    names = {column["name"]: column for column in report["columns"]}
    temperature = names["temperature"]
    # Rows in the order of time depend on their neighbours: those of one month may be worth too few to judge a season
    # by. What they differ by is told all the same.
    assert temperature["drifted"] or temperature["unjudged"] > 0.8
    assert "'temperature'" in report["sentence"]
    assert set(names["temperature"]) >= {"name", "method", "statistic", "p_value", "effect", "threshold", "drifted"}
    page = (shop.folder / "report.html").read_text()
    assert page == shop.get(f"/reports/{report['id']}").decode()
    assert "http://" not in page.replace("http://www.w3.org/", "")


@pytest.mark.slow
def test_a_schedule_is_kept_and_a_bad_one_refused(shop: Shop) -> None:
    """Cron is checked when it is given, not when it is due."""
    shop.run("monitor", "schedule", "flights", "--cron", "0 * * * *")
    assert "0 * * * *" in shop.run("monitor", "schedule", "flights")
    shop.run("monitor", "schedule", "flights", "--cron", "99 * * * *", code=2)
    shop.run("monitor", "schedule", "nobody", "--cron", "0 * * * *", code=2)
    assert json.loads(shop.run("monitor", "schedule", "flights", "--remove", "--json"))["removed"] is True


def test_the_lists_show_what_the_store_holds(shop: Shop) -> None:
    """models, runs, endpoints and doctor, for people and for scripts."""
    models = json.loads(shop.run("models", "--json"))
    assert models[0]["name"] == "flights"
    runs = json.loads(shop.run("runs", "--json"))
    assert runs[0]["status"] == "completed"
    trials = json.loads(shop.run("runs", runs[0]["id"], "--json"))["trials"]
    assert {trial["candidate"] for trial in trials} >= {"baseline"}
    assert "flights" in shop.run("endpoints")
    doctor = json.loads(shop.run("doctor", "--json"))
    assert doctor["healthy"] is True
    assert doctor["settings"]["store"]["origin"] == "AUTOPILOT_STORE"


def test_the_endpoint_client_predicts_over_http(shop: Shop) -> None:
    """Endpoint.predict gives what the model gives."""
    rows = live_rows(shop, 20)
    answer = autopilot.Endpoint("flights", url=f"http://127.0.0.1:{shop.port}").predict(rows)
    assert answer.columns == ["label", "p_no", "p_yes"]
    assert answer.height == 20


def test_two_servers_on_one_port_is_one_clear_line(shop: Shop) -> None:
    """The second server says what is in the way."""
    command = [sys.executable, "-m", "autopilot", "serve"]
    done = subprocess.run(command, env=shop.environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"Port {shop.port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_demo_ends_by_itself_without_a_terminal(tmp_path: Path) -> None:
    """Fit, deploy, serve, traffic, drift report, exit code 0."""
    shop = Shop(tmp_path)
    told = shop.run("demo", "--budget", "10s")
    assert "drift" in told
    assert "temperature" in told
    assert "/reports/" in told

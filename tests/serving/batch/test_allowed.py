"""Jobs that are asked for over HTTP stay in the places that the server allows, and are gone on with."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.batch.allowed import ANYWHERE, Allowed, allowed_of
from storage import SettingError, Settings, Store
from tests import portable
from tests.refusals import raises
from tests.serving.conftest import ServerProcess, serving

GOOD = "amount,town,visits,seen\n1.5,Ulm,2,2024-01-01\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a table, beside one that is secret, and a link to that."""
    for name in ("data", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text(GOOD)
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "data" / "store").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize("place", ["{}", "{}/a.csv", "{}/*.csv", "file://{}/a.csv", "s3://b/in", "s3://b/in/a.csv"])
def test_what_lies_in_a_place_is_allowed(data: Path, place: str) -> None:
    """Of files by their paths or their addresses."""
    assert Allowed([str(data), "s3://b/in/"], data / "store").allows(place.format(data))


@pytest.mark.parametrize(
    "place",
    [
        "{}/../secret/a.csv",
        "{}/*/../../secret/a.csv",
        "{}/link/a.csv",
        "{}2/a.csv",
        "{}/store/a.csv",
        "file://{}/../secret/a.csv",
        "file://localhost/etc/a.csv",
        "s3://b/internal.csv",
        "s3://b/in/../a.csv",
        "s3://b/in/%2e%2e/a.csv",
        "http://127.0.0.1/a.csv",
    ],
)
def test_what_leads_out_of_it_is_not(data: Path, place: str) -> None:
    """Nor what lies in the store."""
    assert not Allowed([str(data), "s3://b/in/"], data / "store").allows(place.format(data))


def test_by_default_only_a_server_of_this_machine_allows_all(tmp_path: Path) -> None:
    """Another allows the folder that it was started in."""
    assert allowed_of(Settings(), tmp_path, "127.0.0.1") is allowed_of(Settings(), tmp_path, "::1") is ANYWHERE
    open_to_others = allowed_of(Settings(), tmp_path, "0.0.0.0")  # noqa: S104 - nothing listens
    assert open_to_others.allows("x.csv")
    assert not open_to_others.allows("/etc/x.csv")
    assert not allowed_of(Settings(batch_places="/data"), tmp_path, "127.0.0.1").allows("/etc/x.csv")
    with raises(SettingError, "The setting batch_places is '~nobody-has-this/x'."):
        allowed_of(Settings(batch_places="~nobody-has-this/x"), tmp_path, "::1")


@pytest.fixture
def server(store: Store, data: Path) -> Iterator[ServerProcess]:
    """One whose jobs may use a folder."""
    portable.publish(store, portable.classifier())
    with serving(store, environ={"AUTOPILOT_BATCH_PLACES": f"{data},http://127.0.0.1:1"}) as server:
        yield server


def posted(server: ServerProcess, source: Path | str, out: Path, **options: Any) -> httpx.Response:
    body = {"model": "demo", "source": str(source), "out": str(out), **options}
    return server.client.post("/api/jobs/batch", json=body)


def ended(server: ServerProcess, answer: httpx.Response) -> Any:
    """A job when it has ended."""
    assert answer.status_code == 201, answer.text
    end = time.monotonic() + 60
    while (job := server.client.get(answer.headers["location"]).json())["status"] in ("queued", "running"):
        assert time.monotonic() < end
        time.sleep(0.1)
    return job


def test_a_server_refuses_other_places_and_names_the_setting(server: ServerProcess, data: Path) -> None:
    """As a source, through a link in a folder, as an output, and as a model; nothing is written."""
    secret = data.parent / "secret"
    (data / "in").mkdir()
    (data / "in" / "a.csv").symlink_to(secret / "a.csv")
    for answer in (
        posted(server, secret / "a.csv", data / "o.csv"),
        posted(server, data / "in", data / "out"),
        posted(server, data / "a.csv", secret / "a.csv", overwrite=True),
        posted(server, data / "a.csv", data / "o.csv", model=str(secret / "m.onnx")),
        posted(server, "http://127.0.0.1:9/a.csv", data / "o.csv"),
    ):
        assert answer.status_code == 400
        assert "allow this one by the setting batch_places" in answer.json()["detail"]
    assert (secret / "a.csv").read_text() == GOOD


def test_names_of_files_elsewhere_are_not_told(server: ServerProcess, data: Path) -> None:
    """Neither of a folder that a link leads to, nor of one that has no tables."""
    (data.parent / "secret" / "other.txt").touch()
    (data / "in").mkdir()
    (data / "in" / "notes.txt").touch()
    led = posted(server, f"{data}/l[i]nk/*.csv", data / "o.csv").json()["detail"]
    assert led.startswith(f"'{data}/l[i]nk/*.csv' leads to what may not be read or written by jobs of this server")
    none = posted(server, f"{data}/l[i]nk/*.txt", data / "o.csv").json()["detail"]
    assert none.startswith(f"'{data}/l[i]nk/*.txt' holds no table. It has files whose names tell no format. Name csv")
    none = posted(server, data / "in", data / "o.csv").json()["detail"]
    assert none.startswith(f"'{data}/in' holds no table. It has files whose names tell no format. Name csv")


def test_a_source_that_cannot_be_reached_is_told_as_such(server: ServerProcess, data: Path) -> None:
    """It is no defect of the server, and no job."""
    answer = posted(server, "http://127.0.0.1:1/a.csv", data / "o.csv")
    told = answer.json()
    assert (answer.status_code, told["type"]) == (502, "urn:autopilot:unreachable")
    assert told["detail"].startswith("'http://127.0.0.1:1/a.csv' could not be reached: ")
    assert server.client.get("/api/jobs").json()["items"] == []


def test_a_job_with_a_broken_file_is_gone_on_with(server: ServerProcess, data: Path) -> None:
    """When that is mended; the server speaks of fields and not of options."""
    (data / "in").mkdir()
    (data / "in" / "a.csv").write_text(GOOD)
    (data / "in" / "b.csv").write_text(GOOD.replace("visits,seen", "visits,seen,label").replace("-01\n", "-01,no\n"))
    job = ended(server, posted(server, data / "in", data / "out", join=True))
    reason = job["result"]["files"][1]["reason"]
    assert reason.endswith(
        "has a column 'label', and the model's answer is called so too. Name the columns to write, "
        'without it, by "columns".'
    )
    assert (job["status"], job["reason"]) == ("failed", f"1 of 2 files could not be scored. The first: {reason}")
    (data / "in" / "b.csv").write_text(GOOD)
    again = posted(server, data / "in", data / "out", join=True)
    assert again.status_code == 400
    assert 'replace it by "overwrite": true.' in again.json()["detail"]
    job = ended(server, posted(server, data / "in", data / "out", join=True, resume=True))
    assert (job["status"], job["result"]["rows"], job["result"]["resumed_rows"]) == ("completed", 2, 1)
    assert sorted(path.name for path in (data / "out").iterdir()) == ["a.csv", "b.csv"]
    assert not (data / ".out.parts").exists()

"""boto3's `invoke_endpoint_async` works with nothing but another `endpoint_url`; its objects with one's own S3."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

pytest.importorskip("boto3")

from botocore.exceptions import ClientError, ConnectionClosedError

from storage import Store
from tests import portable
from tests.buckets import Buckets, buckets
from tests.conformance.aws import runtime
from tests.portable import ROWS, SCORES
from tests.serving.conftest import ServerProcess, serving

LINES = b"4,Ulm,2,2023-05-01\n1,Bonn,0,2024-01-01\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store.open(tmp_path_factory.mktemp("boto3-async") / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    yield store
    store.close()


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[ServerProcess]:
    with serving(store) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Any:
    return runtime(server.url)


def fetched(location: str) -> httpx.Response:
    """What is at a location of the server, when it is there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if httpx.head(location).status_code == 200:
            return httpx.get(location)
        time.sleep(0.05)
    raise AssertionError(httpx.get(location).text)


def test_each_member_of_the_response_is_there(client: Any) -> None:
    """As botocore's description of the service names them; the answer is at its location."""
    answer = client.invoke_endpoint_async(
        EndpointName="price", Body=json.dumps(ROWS).encode(), ContentType="application/json", InferenceId="mine"
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "mine"
    found = fetched(answer["OutputLocation"])
    assert found.json() == {"predictions": [{"value": score} for score in SCORES]}
    assert found.headers["x-inference-id"] == "mine"
    assert httpx.head(answer["FailureLocation"]).status_code == 404


def test_content_type_accept_and_attributes_are_followed(client: Any) -> None:
    """By the names that they have in this operation."""
    answer = client.invoke_endpoint_async(
        EndpointName="price",
        Body=LINES,
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="trace=7",
        RequestTTLSeconds=60,
        InvocationTimeoutSeconds=3600,
    )
    found = fetched(answer["OutputLocation"])
    assert found.json() == {"predictions": [{"value": 1.0}, {"value": 0.5}]}
    assert found.headers["x-amzn-sagemaker-custom-attributes"] == "trace=7"


def test_what_goes_wrong_is_at_the_failure_location(client: Any) -> None:
    """As a problem; the output will not come, which nobody is told to wait for."""
    answer = client.invoke_endpoint_async(EndpointName="price", Body=b"much,Ulm,2,\n", ContentType="text/csv")
    found = fetched(answer["FailureLocation"])
    assert found.headers["content-type"] == "application/problem+json"
    assert found.json()["detail"].startswith("Column 'amount' was number in training; row 0 holds 'much'.")
    absent = httpx.get(answer["OutputLocation"])
    assert (absent.status_code, "retry-after" in absent.headers) == (404, False)
    assert absent.json()["type"] == "urn:autopilot:unanswered"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"EndpointName": "nobody"}, "There is no endpoint 'nobody'."),
        ({"InputLocation": f"autopilot://inputs/{'0' * 64}"}, "Both are here: send one of them."),
        ({"Body": b""}, "Neither is here: send one of them."),
        ({"Body": b"", "InputLocation": "s3://in/a.csv"}, "No addresses are allowed here"),
        ({"ContentType": "text/xml"}, "Content-Type is 'text/xml'"),
        ({"RequestTTLSeconds": 21_601}, "Send whole seconds from 60 to 21600"),
        ({"InvocationTimeoutSeconds": 3_601}, "Send whole seconds from 1 to 3600"),
        ({"Filename": "a.csv"}, "this server keeps answers itself"),
    ],
)
def test_what_is_wrong_is_a_validation_error(client: Any, asked: dict[str, Any], message: str) -> None:
    """That is not sent again."""
    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint_async(**{"EndpointName": "price", "Body": LINES, "ContentType": "text/csv", **asked})
    error: Any = caught.value.response
    assert error["Error"]["Code"] == "ValidationError"
    assert message in error["Error"]["Message"]
    assert error["ResponseMetadata"]["RetryAttempts"] == 0


def test_a_request_that_the_sdk_sends_again_is_answered_once(server: ServerProcess, store: Store) -> None:
    """It is known by the id that all attempts have: here of one whose answer is lost on its way."""
    client, lost = runtime(server.url), list[httpx.Response]()

    def lose(request: Any, **_: Any) -> None:
        if not lost:
            lost.append(httpx.post(request.url, content=request.body, headers=dict(request.headers)))
            raise ConnectionClosedError(endpoint_url=request.url)

    client.meta.events.register("before-send.sagemaker-runtime", lose)
    before = len(store.async_invocations.list())
    answer = client.invoke_endpoint_async(EndpointName="price", Body=LINES, ContentType="text/csv")
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert answer["OutputLocation"] == lost[0].headers["x-amzn-sagemaker-outputlocation"]
    assert answer["InferenceId"] == lost[0].json()["InferenceId"]
    assert len(store.async_invocations.list()) == before + 1


@pytest.fixture
def bucket() -> Iterator[Buckets]:
    with buckets() as held:
        yield held


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Store]:
    """A store that no other server answers for."""
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    yield store
    store.close()


def test_inputs_and_outputs_may_be_objects(own: Store, bucket: Buckets) -> None:
    """Where the settings allow it: as in SageMaker, `OutputLocation` is an address in S3, and so is a failure's."""
    environ = {**bucket.environ, "AUTOPILOT_ASYNC_INPUTS": "s3://in/", "AUTOPILOT_ASYNC_OUTPUT": "s3://out/answers"}
    bucket.objects |= {"/in/a.csv": LINES, "/in/wrong.csv": b"much,Ulm,2,\n"}
    with serving(own, environ=environ) as server:
        client = runtime(server.url)
        asked = {"EndpointName": "price", "ContentType": "text/csv"}
        plain = client.invoke_endpoint_async(**asked, InputLocation="s3://in/a.csv")
        named = client.invoke_endpoint_async(
            **asked, InputLocation="s3://in/a.csv", Filename="a.out", S3OutputPathExtension="day/1"
        )
        wrong = client.invoke_endpoint_async(**asked, InputLocation="s3://in/wrong.csv")
        assert named["OutputLocation"] == "s3://out/answers/price/day/1/a.out"
        places = [
            path_of(found) for found in (plain["OutputLocation"], named["OutputLocation"], wrong["FailureLocation"])
        ]
        end = time.monotonic() + 60
        while not all(place in bucket.objects for place in places):
            assert time.monotonic() < end, server.log
            time.sleep(0.05)
    assert [bucket.objects[place] for place in places[:2]] == [b"1.0\n0.5\n"] * 2
    assert json.loads(bucket.objects[places[2]])["status"] == 400


def path_of(address: str) -> str:
    parts = urlsplit(address)
    return f"/{parts.netloc}{parts.path}"

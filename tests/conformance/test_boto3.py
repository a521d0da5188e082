"""boto3's `sagemaker-runtime` client works with nothing but another `endpoint_url`."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytest.importorskip("boto3")

from botocore.exceptions import ClientError

from storage import Predictor, Store
from tests import portable
from tests.conformance.aws import fragile, overloaded, runtime, send_header
from tests.portable import ROWS, SCORES
from tests.serving.conftest import ServerProcess, serving

BODY = json.dumps(ROWS).encode()
LINES = b"4,Ulm,2,2023-05-01\n1,Bonn,0,2024-01-01\n"
LARGE = b"4,Ulm,2,2023-05-01\n" * 10_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A classifier as `paid`, a regressor as `price`, one that fails for large values as `fragile`."""
    store = Store.open(tmp_path_factory.mktemp("boto3") / "store")
    portable.publish(store, portable.classifier(), name="classifier", endpoint="paid")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    portable.publish(store, fragile(), name="fragile", endpoint="fragile")
    yield store
    store.close()


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[ServerProcess]:
    with serving(store) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Any:
    return runtime(server.url)


def predictions(answer: Any) -> list[Any]:
    return json.load(answer["Body"])["predictions"]


def refusal(client: Any, **asked: Any) -> dict[str, Any]:
    """What an invocation raises."""
    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint(**{"EndpointName": "paid", "Body": BODY, "ContentType": "application/json", **asked})
    response: dict[str, Any] = caught.value.response  # type: ignore[assignment]
    return response


class TestAnswers:
    def test_each_member_of_the_response_is_there(self, client: Any) -> None:
        """As botocore's description of the service names them."""
        answer = client.invoke_endpoint(
            EndpointName="price", Body=BODY, ContentType="application/json", CustomAttributes="trace=7; who=me"
        )
        assert predictions(answer) == [{"value": score} for score in SCORES]
        assert answer["ContentType"] == "application/json"
        assert answer["InvokedProductionVariant"] == "main"
        assert answer["CustomAttributes"] == "trace=7; who=me"
        metadata = answer["ResponseMetadata"]
        assert (metadata["HTTPStatusCode"], metadata["RetryAttempts"]) == (200, 0)
        assert len(metadata["RequestId"]) == 36

    @pytest.mark.parametrize(
        ("sent", "accept", "body", "told"),
        [
            ("text/csv", None, LINES, b"1.0\n0.5\n"),
            ("text/csv", "*/*", LINES, b"1.0\n0.5\n"),
            ("text/csv", "application/json", LINES, b'{"predictions":[{"value":1.0},{"value":0.5}]}'),
            ("application/json", "text/csv", BODY, b"1.0\n0.5\n-3.0\n5.5\n"),
        ],
    )
    def test_content_type_and_accept_choose_formats(
        self, client: Any, sent: str, accept: str | None, body: bytes, told: bytes
    ) -> None:
        """The SDK sends `*/*` where none is asked for."""
        more = {} if accept is None else {"Accept": accept}
        answer = client.invoke_endpoint(EndpointName="price", Body=body, ContentType=sent, **more)
        assert answer["Body"].read() == told
        assert answer["ContentType"] == (accept if accept not in (None, "*/*") else sent)

    def test_a_body_without_a_content_type_is_json(self, client: Any) -> None:
        """What boto3 then sends is nothing, or a type that says nothing."""
        assert predictions(client.invoke_endpoint(EndpointName="price", Body=BODY))[0] == {"value": 1.0}

    def test_attributes_carry_options(self, client: Any) -> None:
        """boto3 cannot send a query string."""
        answer = client.invoke_endpoint(
            EndpointName="paid",
            Body=BODY,
            ContentType="application/json",
            CustomAttributes="trace=7;autopilot:columns=p_yes,label;who=me",
        )
        assert list(predictions(answer)[0]) == ["p_yes", "label"]
        assert answer["CustomAttributes"] == "trace=7;autopilot:columns=p_yes,label;who=me"

    @pytest.mark.parametrize("target", [{"TargetVariant": "AllTraffic"}, {"TargetModel": "regressor:1"}])
    def test_what_is_served_may_be_named(self, client: Any, target: dict[str, str]) -> None:
        """The only variant, and the only model."""
        answer = client.invoke_endpoint(EndpointName="price", Body=LINES, ContentType="text/csv", **target)
        assert answer["Body"].read() == b"1.0\n0.5\n"

    def test_explanations_are_as_clarify_gives_them(self, client: Any) -> None:
        """A number for each row and column; base and numbers sum up to the probability."""
        answer = client.invoke_endpoint(
            EndpointName="paid", Body=LINES, ContentType="text/csv", EnableExplanations="`true`"
        )
        assert answer["ContentType"] == "application/json"
        told = json.load(answer["Body"])
        assert list(told) == ["version", "predictions", "explanations", "label_headers"]
        assert told["predictions"]["content_type"] == "text/csv"
        assert told["predictions"]["data"].startswith("yes,0.268")
        assert told["label_headers"] == ["yes"]
        rows = told["explanations"]["kernel_shap"]
        assert [[column["feature_header"] for column in row] for row in rows] == [list(ROWS[0])] * 2
        assert [column["feature_type"] for column in rows[0]] == ["numerical", "categorical", "numerical", "numerical"]
        sums = [sum(column["attributions"][0]["attribution"][0] for column in row) for row in rows]
        assert sums[0] - sums[1] == pytest.approx(portable.PROBABILITIES[0] - portable.PROBABILITIES[1], abs=1e-6)

    def test_explanations_can_be_switched_off(self, client: Any) -> None:
        """Clarify answers in its own shape all the same."""
        answer = client.invoke_endpoint(
            EndpointName="price", Body=LINES, ContentType="text/csv", EnableExplanations="`false`"
        )
        told = json.load(answer["Body"])
        assert told == {
            "version": "1.0",
            "predictions": {"content_type": "text/csv", "data": "1.0\n0.5\n"},
            "explanations": {},
        }

    def test_many_threads_may_share_a_client(self, client: Any) -> None:
        """Each gets the answer to what it asked."""
        rows = [{**ROWS[0], "amount": float(index)} for index in range(300)]
        expected = [row["prediction"] for row in Predictor(portable.regressor()).predict_rows(rows)]

        def ask(row: dict[str, Any]) -> float:
            body = json.dumps(row).encode()
            answer = client.invoke_endpoint(EndpointName="price", Body=body, ContentType="application/json")
            return predictions(answer)[0]["value"]

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, rows)) == expected

    def test_the_inference_id_is_captured(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Rows of small and of large requests are found by it."""
        store = Store.open(tmp_path_factory.mktemp("capture") / "store")
        portable.publish(store, portable.regressor(), endpoint="demo")
        with serving(store) as server:
            client = runtime(server.url)
            client.invoke_endpoint(EndpointName="demo", Body=LINES, ContentType="text/csv", InferenceId="first one")
            client.invoke_endpoint_with_response_stream(
                EndpointName="demo", Body=LARGE, ContentType="text/csv", InferenceId="second"
            )["Body"].close()
            time.sleep(0.5)
            assert server.stop() == 0
        now = datetime.now(UTC)
        frame = store.traffic.read("demo", now - timedelta(hours=1), now + timedelta(hours=1))
        counts = dict(frame.group_by("autopilot.inference_id").len().iter_rows())
        store.close()
        assert counts["first one"] == 2
        assert counts.get("second", 10_000) == 10_000  # all rows, or none if the client was faster than the rows


class TestErrors:
    @pytest.mark.parametrize(
        ("asked", "status", "message"),
        [
            ({"EndpointName": "nobody"}, 404, "There is no endpoint 'nobody'. POST to /endpoints/"),
            ({"Body": b'{"amount": "n/a"}'}, 400, "Column 'amount' was number in training; row 0 holds 'n/a'"),
            ({"Body": b"nothing"}, 400, "The body is no JSON"),
            ({"Body": b""}, 400, "The body is empty"),
            ({"ContentType": "text/xml"}, 415, "Content-Type is 'text/xml'"),
            ({"Accept": "image/png"}, 406, "Accept is 'image/png'"),
            ({"Body": b"x" * 6_291_457}, 413, "longer than 6291456 bytes"),
            ({"InferenceId": "x" * 65}, 400, "Send 1 to 64 printable ASCII characters"),
            ({"CustomAttributes": "x" * 1025}, 400, "1025 characters. Send up to 1024"),
            ({"CustomAttributes": "autopilot:depth=3"}, 400, "'depth' is no option"),
            ({"TargetVariant": "canary"}, 400, "'paid' has the variants: main, AllTraffic"),
            ({"TargetModel": "other"}, 400, "'paid' serves 'classifier:1'"),
            ({"TargetContainerHostname": "second"}, 400, "An endpoint has one container"),
            ({"InferenceComponentName": "part"}, 400, "An endpoint has no components"),
            ({"SessionId": "NEW_SESSION"}, 400, "no sessions are kept"),
            ({"EnableExplanations": "`true`", "Accept": "application/x-npy"}, 406, "explanations need text"),
            ({"EnableExplanations": "[0]>`0.8`"}, 400, "send `true` or `false`, with the backticks"),
        ],
    )
    def test_what_the_client_can_mend_is_a_validation_error(
        self, client: Any, asked: dict[str, Any], status: int, message: str
    ) -> None:
        """By its code, by its message, and asked for once."""
        response = refusal(client, **asked)
        assert response["Error"]["Code"] == "ValidationError"
        assert message in response["Error"]["Message"]
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert response["ResponseMetadata"]["RetryAttempts"] == 0
        assert len(response["ResponseMetadata"]["RequestId"]) == 36

    def test_what_is_harmless_is_not_looked_at(self, client: Any) -> None:
        """A hint to routers changes no answer."""
        answer = client.invoke_endpoint(EndpointName="price", Body=LINES, ContentType="text/csv", PrefixAwareId="a")
        assert answer["Body"].read() == b"1.0\n0.5\n"

    def test_a_modelled_exception_can_be_caught_by_its_name(self, client: Any) -> None:
        """As programs for SageMaker do."""
        with pytest.raises(client.exceptions.ValidationError):
            client.invoke_endpoint(EndpointName="nobody", Body=BODY)

    @pytest.mark.parametrize("rows", [1, 2000])
    def test_a_defect_is_a_model_error_and_asked_for_once(self, client: Any, rows: int) -> None:
        """In the event loop and in a thread; the traceback stays in the log."""
        response = refusal(client, EndpointName="fragile", Body=b"999,Ulm,2,\n" * rows, ContentType="text/csv")
        assert response["Error"]["Code"] == "ModelError"
        assert response["Error"]["Message"].startswith("Received server error (500) from primary with message")
        assert response["OriginalStatusCode"] == 500
        assert response["OriginalMessage"] == "The log of the server has the traceback. Please report it."
        assert response["ResponseMetadata"]["RetryAttempts"] == 0


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
class TestLoad:
    def test_an_overloaded_server_is_asked_once(self, store: Store, mode: str, operation: str) -> None:
        """Asked again it would have five times as much to do."""
        with overloaded(store) as server:
            client = runtime(server.url, retries={"mode": mode})
            with pytest.raises(client.exceptions.ModelError) as caught:
                getattr(client, operation)(EndpointName="price", Body=LARGE, ContentType="text/csv")
            assert server.requests == 1
        response = caught.value.response
        assert response["OriginalStatusCode"] == 503
        assert response["OriginalMessage"].startswith("The server has work for 3600.0 s")
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 424

    def test_a_deadline_that_cannot_be_kept_is_told_once(
        self, server: ServerProcess, mode: str, operation: str
    ) -> None:
        """The client says how long it waits by a header of ours."""
        client = runtime(server.url, retries={"mode": mode})
        send_header(client, "X-Request-Timeout-Ms", "1")
        with pytest.raises(client.exceptions.ModelError) as caught:
            getattr(client, operation)(EndpointName="price", Body=LARGE, ContentType="text/csv")
        response = caught.value.response
        assert response["OriginalStatusCode"] == 503
        assert "X-Request-Timeout-Ms" in response["OriginalMessage"]
        assert response["ResponseMetadata"]["RetryAttempts"] == 0


def test_other_clients_are_told_to_come_back(store: Store) -> None:
    """503 and `retry-after`, as ever; the code is there too."""
    import httpx

    with overloaded(store) as server:
        answer = httpx.post(
            f"{server.url}/endpoints/price/invocations", content=LARGE, headers={"content-type": "text/csv"}
        )
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3600")
    assert answer.headers["x-amzn-errortype"] == "ServiceUnavailable"
    assert answer.json()["type"] == "urn:autopilot:overloaded"
    assert answer.json()["Message"] == answer.json()["detail"]

"""What the SageMaker runtime's headers ask, and how its errors and explanations look; asked by boto3 in conformance."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.endpoints import LiveVariant
from serving.errors import BodyError, OptionError, OverloadedError, SageMakerHeaderError
from serving.formats import Answer, Explained
from serving.options import DEFAULT, Options
from serving.protocols.sagemaker.clarify import write_clarify
from serving.protocols.sagemaker.errors import is_sdk, refuse
from serving.protocols.sagemaker.headers import ATTRIBUTES, EXPLANATIONS, LOOKED_AT, asks_of
from storage import Predictor
from tests.portable import classifier, regressor
from tests.records import endpoint_record

SDK = {b"amz-sdk-invocation-id": b"1"}


def endpoint(model: bytes) -> LiveVariant:
    return LiveVariant(endpoint_record(), Predictor(model))


PAID = endpoint(classifier())


class TestHeaders:
    @pytest.mark.parametrize(
        ("attributes", "query", "options"),
        [
            (b"trace=7", b"", DEFAULT),
            (b"autopilot:interval=true", b"", Options(interval=True)),
            (b"a;autopilot:columns=label,p_yes;b", b"", Options(columns=("label", "p_yes"))),
            (b"autopilot:interval=true&explain=true", b"", Options(interval=True, explain=True)),
            (b"autopilot:interval=true; autopilot:explain=true", b"", Options(interval=True, explain=True)),
            (b"autopilot:interval=false", b"interval=true&explain=true", Options(explain=True)),
            (b"my-autopilot:depth=3", b"", DEFAULT),
        ],
    )
    def test_attributes_are_sent_back_and_may_hold_options(
        self, attributes: bytes, query: bytes, options: Options
    ) -> None:
        """Written as in a query string, and stronger than that."""
        asks = asks_of({ATTRIBUTES: attributes}, query, PAID, is_container=False)
        assert (asks.options, asks.clarify, asks.echo) == (options, False, [(ATTRIBUTES, attributes)])

    @pytest.mark.parametrize("attributes", [b"autopilot:depth=3", b"autopilot:interval=perhaps"])
    def test_wrong_options_are_refused(self, attributes: bytes) -> None:
        """As anywhere."""
        with pytest.raises(OptionError):
            asks_of({ATTRIBUTES: attributes}, b"", PAID, is_container=False)

    @pytest.mark.parametrize("attributes", ["ä".encode(), b"a\tb", b"x" * 1025])
    def test_attributes_that_cannot_be_sent_back_are_refused(self, attributes: bytes) -> None:
        """With what is allowed."""
        with pytest.raises(SageMakerHeaderError, match="up to 1024 visible ASCII"):
            asks_of({ATTRIBUTES: attributes}, b"", PAID, is_container=False)

    @pytest.mark.parametrize(("literal", "explain"), [(b"`true`", True), (b" `false` ", False)])
    def test_explanations_are_asked_for_by_a_literal(self, literal: bytes, explain: bool) -> None:
        """And switch off what an option switched on."""
        asks = asks_of({EXPLANATIONS: literal}, b"explain=true", PAID, is_container=False)
        assert (asks.options.explain, asks.clarify) == (explain, True)

    @given(st.sampled_from(sorted(LOOKED_AT)), st.binary(max_size=1200))
    def test_no_header_is_a_defect(self, name: bytes, value: bytes) -> None:
        """It is followed, or refused as the client's mistake."""
        for is_container in (False, True):
            with contextlib.suppress(SageMakerHeaderError, OptionError):
                asks_of({name: value}, b"", PAID, is_container=is_container)

    def test_a_container_does_not_look_where_the_platform_chose(self) -> None:
        """The target of a request is told to the container for its log."""
        headers = dict.fromkeys(LOOKED_AT - {ATTRIBUTES, EXPLANATIONS}, b"any")
        assert asks_of(headers, b"", PAID, is_container=True).options == DEFAULT


class TestErrors:
    @pytest.mark.parametrize(
        "agent",
        [
            b"Boto3/1.44.8 md/Botocore#1.44.8",
            b"aws-cli/2.30.0 md/awscrt#0.27",
            b"aws-sdk-java/2.30 md/io#sync",
            b"aws-sdk-js/3.700 ua/2.1",
            b"aws-sdk-go-v2/1.30",
        ],
    )
    def test_sdks_are_told_by_their_names(self, agent: bytes) -> None:
        """Of each language."""
        assert is_sdk({b"user-agent": agent})

    def test_sdks_get_nothing_that_they_send_again(self) -> None:
        """Status 424; the real one is beside it."""
        reply = refuse(OverloadedError("Too much.", retry_after_s=3), SDK)
        assert reply.status == 424
        assert (b"x-amzn-errortype", b"ModelError") in reply.headers
        assert (b"retry-after", b"3") in reply.headers
        assert json.loads(reply.body) == {
            "type": "urn:autopilot:overloaded",
            "title": "The server has more to do than it keeps waiting",
            "status": 424,
            "detail": "Too much.",
            "Message": 'Received server error (503) from primary with message "Too much."',
            "OriginalStatusCode": 503,
            "OriginalMessage": "Too much.",
        }

    @pytest.mark.parametrize("headers", [SDK, {}])
    def test_mistakes_of_the_client_have_their_own_status(self, headers: dict[bytes, bytes]) -> None:
        """For SDKs too: they do not send these again."""
        reply = refuse(BodyError("No rows."), headers)
        assert reply.status == 400
        assert (b"x-amzn-errortype", b"ValidationError") in reply.headers
        assert json.loads(reply.body)["Message"] == "No rows."


def explained(*of: str) -> Explained:
    rows = len(of)
    values = np.arange(4.0 * rows).reshape(rows, 4)
    return Explained(of, np.full(rows, 0.5), values, np.zeros((rows, 4)))


class TestClarify:
    def test_rows_that_explain_several_classes_have_a_number_for_their_own(self) -> None:
        """And null for the others: nothing is known of them."""
        outputs = PAID.predictor.run(PAID.formats.rows["csv"].decode(b"4,Ulm,2,\n1,Ulm,2,\n"))
        told = json.loads(write_clarify(PAID, "csv", Answer(outputs, DEFAULT, explained("yes", "no"))).body)
        assert told["label_headers"] == ["yes", "no"]
        first = [[row[0]["attributions"][0]["attribution"]] for row in told["explanations"]["kernel_shap"]]
        assert first == [[[0.0, None]], [[None, 4.0]]]

    def test_values_have_one_label(self) -> None:
        """Regression explains its prediction."""
        price = endpoint(regressor())
        outputs = price.predictor.run(price.formats.rows["csv"].decode(b"4,Ulm,2,\n"))
        told = json.loads(write_clarify(price, "json", Answer(outputs, DEFAULT, explained("prediction"))).body)
        assert told["label_headers"] == ["prediction"]
        assert told["predictions"] == {"content_type": "application/json", "data": '{"predictions":[{"value":1.0}]}'}
        assert told["explanations"]["kernel_shap"][0][3] == {
            "feature_header": "seen",
            "feature_type": "numerical",
            "attributions": [{"attribution": [3.0]}],
        }

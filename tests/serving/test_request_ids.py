"""Each request has an id that can be logged and sent back."""

import re

import pytest

from serving.request_ids import RequestIds, request_id_headers


def test_a_made_up_id_is_a_uuid_of_its_own() -> None:
    """In the form that AWS has it."""
    ids = RequestIds()
    made = [ids.of({}) for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(re.fullmatch(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each) for each in made)
    assert RequestIds().of({}) not in made


@pytest.mark.parametrize("sent", [b"7", b"Root=1-67891233-abcdef012345678912345678", b"x" * 128])
def test_the_client_s_id_is_kept(sent: bytes) -> None:
    """As it was sent."""
    assert RequestIds().of({b"x-request-id": sent}) == sent


@pytest.mark.parametrize("sent", [b"", b"a b", b"a\x00", b"a\r\nb", "ä".encode(), b"x" * 129])
def test_what_cannot_be_logged_is_not_looked_at(sent: bytes) -> None:
    """A request is not refused for it."""
    assert len(RequestIds().of({b"x-request-id": sent})) == 36


def test_both_headers_tell_it() -> None:
    """Ours, and that of AWS."""
    assert request_id_headers(b"7") == [(b"x-request-id", b"7"), (b"x-amzn-requestid", b"7")]

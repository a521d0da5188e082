"""Each error has its line in one table."""

import pytest

from serving import errors as serving_errors
from serving.errors import MethodError
from serving.problems import KINDS, problem_of, reply_of
from storage import errors as storage_errors
from storage.errors import AutopilotError, FailureError, InputError, RowError

RAISED = [
    error
    for module in (serving_errors, storage_errors)
    for error in vars(module).values()
    if isinstance(error, type) and issubclass(error, AutopilotError) and error is not AutopilotError
]


@pytest.mark.parametrize("kind", RAISED)
def test_what_the_user_can_mend_is_below_500_and_the_rest_is_not(kind: type[AutopilotError]) -> None:
    """The table agrees with the tree of errors."""
    error = MethodError("why", allowed=("GET",)) if kind is MethodError else kind("why")
    assert issubclass(kind, InputError) != issubclass(kind, FailureError)
    assert (problem_of(error).status < 500) == issubclass(kind, InputError)
    assert problem_of(error).detail == "why"


@pytest.mark.parametrize(
    "kind", [kind for kind in RAISED if kind.__module__ == "serving.errors" and not kind.__subclasses__()]
)
def test_each_error_of_serving_has_a_line_of_its_own(kind: type[AutopilotError]) -> None:
    """A new error is noticed here; the one that ends the process before it serves has no status."""
    assert kind in KINDS or kind is serving_errors.AddressError


def test_names_of_kinds_are_unique() -> None:
    """Clients tell problems apart by their type."""
    names = [kind.name for kind in KINDS.values()]
    assert len(set(names)) == len(names)


def test_row_and_column_are_told_if_known() -> None:
    """And absent from the body if not; row 0 is a row."""
    assert b'"row":0,"column":"age"' in reply_of(RowError("why", row=0, column="age")).body
    assert b"row" not in reply_of(InputError("why")).body


def test_a_defect_tells_the_client_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the traceback."""
    reply = reply_of(ZeroDivisionError("secret"))
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert "secret" in caplog.text

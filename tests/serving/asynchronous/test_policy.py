"""Settings of async invocations are looked at when the server starts."""

import subprocess
from pathlib import Path

import pytest

from serving.asynchronous.policy import Policy
from storage import SettingError, Settings
from tests.refusals import raises
from tests.serving.conftest import spawn


def test_by_default_nothing_is_read_put_or_told() -> None:
    """And half of the cores answer, one at least."""
    policy = Policy.of(Settings())
    assert policy.running >= 1
    assert (policy.inputs.texts, policy.output, policy.webhooks.allowed, policy.webhook) == ((), None, (), None)


def test_settings_name_places_with_blanks_or_commas_between() -> None:
    """A slash in the end makes no difference."""
    settings = Settings(
        async_inputs="s3://a/in/, file:///data", async_output="s3://a/out/", async_webhooks="https://h/a https://h/b"
    )
    with raises(SettingError, "webhook_secret, which signs them, has 0 characters. Give it 16 or more."):
        Policy.of(settings)
    settings = Settings.load({"AUTOPILOT_WEBHOOK_SECRET": "x" * 16, "AUTOPILOT_ASYNC_OUTPUT": "s3://a/out/"})
    policy = Policy.of(settings)
    assert policy.output == "s3://a/out"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(async_inputs="/data"), "The setting async_inputs is '/data'. '/data' is no beginning of addresses."),
        (Settings(async_output="s3://a s3://b"), "The setting async_output is 's3://a s3://b'. Name one address."),
        (Settings(async_webhooks="h"), "'h' is no address of a webhook. Write https://HOST/PATH."),
        (Settings(async_webhook="https://h/"), "async_webhook cannot be followed. The webhook 'https://h/'"),
        (Settings(async_webhooks="https://h/", webhook_secret="short"), "has 5 characters. Give it 16 or more."),
    ],
)
def test_a_setting_that_cannot_be_followed_is_named(settings: Settings, message: str) -> None:
    """With its value and what would be right."""
    with raises(SettingError, message):
        Policy.of(settings)


def test_a_server_does_not_start_with_such_a_setting(tmp_path: Path) -> None:
    """One line, and the exit code of bad usage."""
    process = spawn(
        "--store", str(tmp_path), "--port", "0", stderr=subprocess.PIPE, environ={"AUTOPILOT_ASYNC_INPUTS": "/data"}
    )
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.startswith("The setting async_inputs is '/data'.")

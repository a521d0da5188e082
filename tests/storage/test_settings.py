"""Settings come from the environment, a file, or the defaults, and say which."""

from pathlib import Path

import pytest

from storage import SettingError, Settings
from storage.settings import SECRETS
from tests.refusals import raises


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, so that no `autopilot.toml` of the developer is read."""
    monkeypatch.chdir(tmp_path)


def test_without_anything_set_there_are_defaults() -> None:
    """On this machine alone, and the body as large as SageMaker's."""
    assert Settings.load({}) == Settings(
        store="./autopilot-store", host="127.0.0.1", port=8080, max_body_bytes=6_291_456, threads=0
    )


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    """Each value comes with its origin."""
    (tmp_path / "autopilot.toml").write_text('store = "/data"\nport = 9000\n')
    settings, origin = Settings.trace({"AUTOPILOT_PORT": "9001"})
    assert (settings.store, settings.port, settings.host) == ("/data", 9001, "127.0.0.1")
    assert origin == {
        "store": "autopilot.toml",
        "host": "default",
        "port": "AUTOPILOT_PORT",
        "origins": "default",
        "max_body_bytes": "default",
        "max_rows": "default",
        "workers": "default",
        "model_memory_mb": "default",
        "access_log": "default",
        "threads": "default",
        "async_running": "default",
        "async_most_queued": "default",
        "async_attempts": "default",
        "async_kept_s": "default",
        "async_inputs": "default",
        "async_output": "default",
        "async_webhooks": "default",
        "async_webhook": "default",
        "webhook_secret": "default",
        "batch_places": "default",
        "monitor_kept_days": "default",
        "smtp_url": "default",
        "smtp_from": "default",
    }


def test_autopilot_config_names_another_file(tmp_path: Path) -> None:
    """The usual one is then not read."""
    (tmp_path / "autopilot.toml").write_text("port = 1")
    (tmp_path / "other.toml").write_text("threads = 3")
    settings = Settings.load({"AUTOPILOT_CONFIG": str(tmp_path / "other.toml")})
    assert (settings.port, settings.threads) == (8080, 3)


def test_port_as_container_platforms_set_it_stands_in() -> None:
    """AUTOPILOT_PORT wins where both are set."""
    assert Settings.load({"PORT": "7000"}).port == 7000
    assert Settings.load({"PORT": "7000", "AUTOPILOT_PORT": "7001"}).port == 7001
    assert Settings.load({"SAGEMAKER_BIND_TO_PORT": "7002"}).port == 7002


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"AUTOPILOT_PORT": "http"}, "AUTOPILOT_PORT sets port to 'http': Expected `int`"),
        ({"AUTOPILOT_PORT": "70000"}, "AUTOPILOT_PORT sets port to 70000. Use a number from 0 to 65535."),
        ({"PORT": "-1"}, "PORT sets port to -1. Use a number from 0 to 65535."),
        ({"AUTOPILOT_THREADS": "-1"}, "AUTOPILOT_THREADS sets threads to -1. Use a number from 0 to 1024."),
        ({"AUTOPILOT_WORKERS": "many"}, "AUTOPILOT_WORKERS sets workers to 'many'. Write 4, 1..8 or auto."),
        ({"AUTOPILOT_MAX_BODY_BYTES": "0"}, "AUTOPILOT_MAX_BODY_BYTES sets max_body_bytes to 0. Use a number from 1"),
        (
            {"AUTOPILOT_WEBHOOK_SECRET": "s3cret"},
            "AUTOPILOT_WEBHOOK_SECRET sets webhook_secret, which signs webhooks, to 6 characters. Use 16 or",
        ),
        ({"AUTOPILOT_CONFIG": "no.toml"}, "AUTOPILOT_CONFIG names 'no.toml', which does not exist. Create it or unset"),
        ({"AUTOPILOT_CONFIG": "/"}, "Settings file '/' cannot be read: Is a directory. Name a file."),
    ],
)
def test_a_bad_environment_is_named_with_its_value(environ: dict[str, str], message: str) -> None:
    """Place, name, value, remedy."""
    with raises(SettingError, message):
        Settings.load(environ)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"port = \n",
            "'autopilot.toml' is not TOML: Invalid value (at line 1, column 8). Correct that line.",
        ),
        (b"host = '\xff'", "Settings file 'autopilot.toml' is not TOML"),
        (b"prot = 1", "autopilot.toml sets 'prot', which is no setting. Settings are: store, host, port, max_body"),
        (b"port = [1]", "autopilot.toml sets port to [1]: Expected `int`, got `array`"),
        (b"port = 0.5", "autopilot.toml sets port to 0.5: Expected `int`"),
        (b"host = 1", "autopilot.toml sets host to 1: Expected `str`"),
    ],
)
def test_a_bad_file_is_named_with_its_line_or_value(tmp_path: Path, content: bytes, message: str) -> None:
    """A misspelling is an error, since it would silently do nothing."""
    (tmp_path / "autopilot.toml").write_bytes(content)
    with raises(SettingError, message):
        Settings.load({})


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("value", ["1357924680", '["1357924680"]', '{key = "1357924680"}'])
def test_a_secret_of_another_type_is_not_told(tmp_path: Path, name: str, value: str) -> None:
    """It is one all the same; where it is and what it should be is told."""
    (tmp_path / "autopilot.toml").write_text(f"{name} = {value}\n")
    with pytest.raises(SettingError) as caught:
        Settings.load({})
    assert f"autopilot.toml sets {name} to a secret that cannot be one: Expected `str`" in str(caught.value)
    assert "1357924680" not in str(caught.value)

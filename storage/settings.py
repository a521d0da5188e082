"""Settings: environment variables and one TOML file, typed, each with the place that it came from.

Order, first wins: an argument of the call, `AUTOPILOT_<NAME>` in the environment, `<name>` in the file named by
`AUTOPILOT_CONFIG` (`./autopilot.toml` where that is not set), the default.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from storage.errors import SettingError
from storage.signing import SHORTEST_SECRET

_RANGES = {
    "port": (0, 65_535),
    "max_body_bytes": (1, 2**31),
    "max_rows": (1, 2**31),
    "model_memory_mb": (1, 2**24),
    "threads": (0, 1024),
    "async_running": (0, 1024),
    "async_most_queued": (0, 10_000_000),
    "async_attempts": (1, 100),
    "async_kept_s": (60, 31_536_000),
    "monitor_kept_days": (0, 36_500),
}
#: Settings that are shown to nobody.
SECRETS = frozenset({"webhook_secret", "smtp_url"})


_WORKERS = re.compile(r"auto|[0-9]+(\.\.[0-9]+)?")


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set.

    store: folder of the store; made on first use.
    host: address that the server listens on; 127.0.0.1 is reachable from this machine alone.
    port: TCP port of the server, 1-65535; 0 takes a free one.
    max_body_bytes: largest request body that the server reads; more is refused with status 413.
    max_rows: most rows that the server predicts for one request; more is refused with status 413.
    workers: processes that answer requests: 4, or by load between bounds such as 1..8, or auto: 1 to all cores.
    model_memory_mb: MB that the models of the store's endpoints may take in each process, roughly; those beyond are
        loaded when they are asked for. None loads all when the server starts.
    access_log: whether the server writes a line of JSON for each request to stdout.
    origins: pages beside the server's own that may have a browser ask for changes, with blanks between, such as those
        behind a proxy on this machine: https://HOST https://HOST:PORT.
    threads: trials that `fit` trains at once, each on one thread; 0 means one for each core.
    async_running: async invocations that each server process answers at once; 0 means half of its cores.
    async_most_queued: async invocations that may wait; more are refused with status 503.
    async_attempts: times that one is tried where it fails by no fault of its own, such as a server that dies.
    async_kept_s: for how long an async invocation and its answer are kept after its end.
    async_inputs: addresses, with blanks between, below which InputLocation may lie: s3://BUCKET/FOLDER file:///FOLDER.
    async_output: an address below which answers are put, such as s3://BUCKET/FOLDER; the server gives them otherwise.
    async_webhooks: addresses, with blanks between, below which webhooks may lie: https://HOST/PATH.
    async_webhook: the webhook that is told of async invocations that name none.
    webhook_secret: what webhooks are signed with, 16 characters or more.
    batch_places: folders and beginnings of addresses, with commas between, below which batch jobs of the API may read
        and write: /data,s3://BUCKET/FOLDER. Where it is not set: everywhere if the server listens on this machine
        alone, such as at 127.0.0.1, and below the folder that it was started in otherwise.
    monitor_kept_days: for how many days reports, executions of schedules and what was told of alerts are kept; 0 is
        for ever.
    smtp_url: the mail server that takes e-mail of alerts: smtps://USER:PASSWORD@HOST, smtp:// for STARTTLS.
    smtp_from: the address that e-mail of alerts is from.
    """

    store: str = "./autopilot-store"
    host: str = "127.0.0.1"
    port: int = 8080
    max_body_bytes: int = 6_291_456  # what the SageMaker runtime accepts
    max_rows: int = 1_000_000
    workers: int | str = 1
    model_memory_mb: int | None = None
    access_log: bool = False
    origins: str = ""
    threads: int = 0
    async_running: int = 0
    async_most_queued: int = 10_000
    async_attempts: int = 5
    async_kept_s: int = 86_400
    async_inputs: str = ""
    async_output: str = ""
    async_webhooks: str = ""
    async_webhook: str = ""
    webhook_secret: str = ""
    batch_places: str = ""
    monitor_kept_days: int = 400  # a year, and the month to look back on it
    smtp_url: str = ""
    smtp_from: str = ""

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read file and environment. Raises SettingError with the place and the value of the first bad one."""
        return cls.trace(environ)[0]

    @classmethod
    def trace(cls, environ: Mapping[str, str] | None = None) -> tuple["Settings", dict[str, str]]:
        """The settings, and for each name where its value came from.

        >>> settings, origin = Settings.trace({"AUTOPILOT_PORT": "9000"})
        >>> settings.port, origin["port"], origin["host"]
        (9000, 'AUTOPILOT_PORT', 'default')
        """
        environ = os.environ if environ is None else environ
        path = Path(environ.get("AUTOPILOT_CONFIG", "autopilot.toml"))
        values: dict[str, Any] = {}
        origin = dict.fromkeys(cls.__struct_fields__, "default")
        for name, value in _read_file(path, required="AUTOPILOT_CONFIG" in environ).items():
            values[name], origin[name] = value, str(path)
        for name in cls.__struct_fields__:
            if (variable := _variable(name, environ)) is not None:
                values[name], origin[name] = environ[variable], variable
        return _convert(values, origin), origin


def _variable(name: str, environ: Mapping[str, str]) -> str | None:
    """The environment variable that sets `name`. What container platforms set stands in for AUTOPILOT_PORT."""
    wanted = [f"AUTOPILOT_{name.upper()}"] + (["PORT", "SAGEMAKER_BIND_TO_PORT"] if name == "port" else [])
    return next((variable for variable in wanted if variable in environ), None)


def _read_file(path: Path, *, required: bool) -> dict[str, Any]:
    if not path.exists():
        if required:
            raise SettingError(f"AUTOPILOT_CONFIG names {str(path)!r}, which does not exist. Create it or unset it.")
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"Settings file {str(path)!r} is not TOML: {error}. Correct that line.") from error
    except OSError as error:
        raise SettingError(f"Settings file {str(path)!r} cannot be read: {error.strerror}. Name a file.") from error


def _convert(values: dict[str, Any], origin: dict[str, str]) -> Settings:
    known = Settings.__struct_fields__
    for name, value in values.items():
        if name not in known:
            raise SettingError(f"{origin[name]} sets {name!r}, which is no setting. Settings are: {', '.join(known)}.")
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError as error:
            shown = "a secret that cannot be one" if name in SECRETS else repr(value)
            raise SettingError(f"{origin[name]} sets {name} to {shown}: {error}.") from error
    settings = msgspec.convert(values, Settings, strict=False)
    if not _WORKERS.fullmatch(str(settings.workers)):
        raise SettingError(f"{origin['workers']} sets workers to {settings.workers!r}. Write 4, 1..8 or auto.")
    for name, (least, most) in _RANGES.items():
        value = getattr(settings, name)
        if value is not None and not least <= value <= most:
            raise SettingError(f"{origin[name]} sets {name} to {value}. Use a number from {least} to {most}.")
    length = len(settings.webhook_secret.encode())
    if 0 < length < SHORTEST_SECRET:
        raise SettingError(
            f"{origin['webhook_secret']} sets webhook_secret, which signs webhooks, to {length} characters. "
            f"Use {SHORTEST_SECRET} or more, or leave it out."
        )
    return settings

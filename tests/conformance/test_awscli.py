"""The AWS CLI works with nothing but another `--endpoint-url`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("awscli") is None:  # importing it would put a botocore of its own in the place of boto3's
    pytest.skip("the AWS CLI is not installed", allow_module_level=True)

from storage import Store
from tests import portable
from tests.conformance.aws import ENVIRON
from tests.portable import ROWS
from tests.serving.conftest import ServerProcess, serving

AWS = shutil.which("aws", path=str(Path(sys.executable).parent)) or "aws"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    store = Store.open(tmp_path_factory.mktemp("awscli") / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    with serving(store) as server:
        yield server
    store.close()


def invoke(server: ServerProcess, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`aws sagemaker-runtime invoke-endpoint ARGUMENTS`."""
    command = [AWS, "--endpoint-url", server.url, "sagemaker-runtime", "invoke-endpoint", *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | ENVIRON
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)


def test_it_writes_the_answer_to_a_file_and_tells_the_rest(server: ServerProcess, tmp_path: Path) -> None:
    """As its manual says."""
    body, out = tmp_path / "rows.json", tmp_path / "answer.json"
    body.write_text(json.dumps(ROWS))
    done = invoke(
        server,
        *("--endpoint-name", "price", "--body", f"fileb://{body}", "--content-type", "application/json"),
        *("--custom-attributes", "autopilot:columns=prediction", str(out)),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "ContentType": "application/json",
        "InvokedProductionVariant": "main",
        "CustomAttributes": "autopilot:columns=prediction",
    }
    assert json.loads(out.read_text())["predictions"][0] == {"prediction": 1.0}


def test_it_says_what_was_wrong(server: ServerProcess, tmp_path: Path) -> None:
    """With the code and the sentence, at once."""
    out = str(tmp_path / "answer.json")
    done = invoke(server, "--endpoint-name", "nobody", "--body", "e30=", out)
    assert done.returncode != 0
    assert "An error occurred (ValidationError) when calling the InvokeEndpoint operation" in done.stderr
    assert "There is no endpoint 'nobody'. POST to /endpoints/price/invocations." in done.stderr

"""Tables are read from and written to an object store over HTTP, as S3 speaks it."""

import os
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import polars as pl
import pytest

from storage import DataError, InputError, Predictor
from storage.batch import Transform
from storage.batch.engine import transform_files
from tests.refusals import raises
from tests.storage.batch.files import read, write

OBJECT = "<Contents><Key>{}</Key><Size>{}</Size><ETag>&quot;{}&quot;</ETag><LastModified>2024-05-01T00:00:00.000Z\
</LastModified></Contents>"


class Bucket(BaseHTTPRequestHandler):
    """What of S3 one bucket needs: https://docs.aws.amazon.com/AmazonS3/latest/API."""

    objects: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def reply(self, status: int, body: bytes = b"", tag: int = 0) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("last-modified", formatdate(0, usegmt=True))
        self.send_header("etag", f'"{tag}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        key = unquote(url.path).removeprefix("/bucket").removeprefix("/")
        if key:
            data = self.objects.get(key)
            self.reply(404) if data is None else self.reply(200, data, hash(data))
            return
        prefix = parse_qs(url.query).get("prefix", [""])[0]
        found = [(name, data) for name, data in sorted(self.objects.items()) if name.startswith(prefix)]
        listed = "".join(OBJECT.format(escape(name), len(data), hash(data)) for name, data in found)
        self.reply(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>".encode())

    do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        self.objects[unquote(self.path).removeprefix("/bucket/")] = data
        self.reply(200, tag=hash(data))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """The objects of `s3://bucket`."""
    handler = type("Handler", (Bucket,), {"objects": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y"), ("REGION", "us-east-1")):
            monkeypatch.setenv(f"AWS_{name}", value)
        yield handler.objects
        server.shutdown()


def test_a_bucket_is_scored_into_a_bucket(
    bucket: dict[str, bytes], predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """Its objects by name, as a folder's files; the same as files on this machine."""
    for name in ("in/a b.csv", "in/deep/c.parquet", "other.csv"):
        bucket[name] = write(rows, tmp_path / name).read_bytes()
    scratch = tmp_path / "scratch.parts"
    summary = transform_files(predictor, Transform("demo", "s3://bucket/in/", "s3://bucket/out/"), scratch=scratch)
    assert [file.source for file in summary.files] == ["s3://bucket/in/a b.csv", "s3://bucket/in/deep/c.parquet"]
    for name in ("out/a b.csv", "out/deep/c.parquet"):
        (tmp_path / Path(name).name).write_bytes(bucket[name])
        assert read(tmp_path / Path(name).name)["label"].equals(predictor.predict(rows)["label"])
    assert not scratch.exists()
    pattern = Transform("demo", "s3://bucket/in/**/*.csv", f"{tmp_path}/o.csv")
    assert transform_files(predictor, pattern).rows == 1000
    with raises(InputError, "The output is there already: 's3://bucket/other.csv'."):
        transform_files(predictor, Transform("demo", "s3://bucket/in/", "s3://bucket/other.csv"), scratch=scratch)
    with raises(InputError, "lies in the input 's3://bucket/in/'"):
        transform_files(predictor, Transform("demo", "s3://bucket/in/", "s3://bucket/in/out/"), scratch=scratch)
    with raises(DataError, "There is nothing at 's3://bucket/none/'."):
        transform_files(predictor, Transform("demo", "s3://bucket/none/", "s3://bucket/out/"), scratch=scratch)


def test_a_file_of_a_web_server_is_scored(
    bucket: dict[str, bytes], predictor: Predictor, rows: pl.DataFrame, tmp_path: Path
) -> None:
    """It is read alone: a web server lists no folders, and takes no files."""
    bucket["a b.csv"] = write(rows, tmp_path / "a b.csv").read_bytes()
    address = os.environ["AWS_ENDPOINT_URL"] + "/bucket/"
    transform_files(predictor, Transform("demo", f"{address}a%20b.csv", str(tmp_path / "o.csv")))
    assert read(tmp_path / "o.csv").height == 1000
    with raises(DataError, "a web server has no folders to list."):
        transform_files(predictor, Transform("demo", f"{address}none.csv", str(tmp_path / "p.csv")))
    with raises(InputError, "it is a web server's."):
        transform_files(predictor, Transform("demo", str(tmp_path / "a b.csv"), f"{address}o.csv"))

"""The page at `/`: what is served here, how to ask it, and the latest reports."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from serving.endpoints import LiveVariant
from storage.records import Report
from storage.signature import Column, Signature

_TEMPLATE = Path(__file__).with_name("page.html")


def index_page(base_url: str, live: Mapping[str, LiveVariant], reports: Sequence[Report]) -> str:
    """The page as HTML. base_url: how the client reached this server, without a slash at the end."""
    from jinja2 import Environment  # 60 ms, and a server may never be asked for the page

    template = Environment(autoescape=True).from_string(_TEMPLATE.read_text(encoding="utf-8"))
    endpoints = [(endpoint.record, curl_example(base_url, endpoint)) for _, endpoint in sorted(live.items())]
    return template.render(endpoints=endpoints, reports=reports)


def curl_example(base_url: str, endpoint: LiveVariant) -> str:
    """A command for a shell that asks an endpoint for one row."""
    url = f"{base_url}/endpoints/{endpoint.record.name}/invocations"
    body = msgspec.json.encode(example_row(endpoint.predictor.signature)).decode()
    return f"curl -H 'content-type: application/json' {shlex.quote(url)} -d {shlex.quote(body)}"


def example_row(signature: Signature) -> dict[str, Any]:
    """A row that the model takes: least numbers, most frequent categories."""
    return {column.name: _example(column) for column in signature.columns}


def _example(column: Column) -> Any:
    if column.kind == "number":
        return column.minimum
    if column.kind == "category":
        return column.levels[0] if column.levels else None
    return "2024-05-01T13:30:00Z" if column.kind == "time" else "some text"

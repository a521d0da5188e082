"""What is told of a model: metadata, configuration and statistics, in Triton's shapes."""

from collections.abc import Sequence
from typing import Any

from serving.endpoints import LiveVariant
from serving.metrics import EndpointMetrics, Histogram
from serving.protocols.inference_v2.inputs import DATATYPE_OF_KIND
from serving.protocols.inference_v2.outputs import Output, Outputs

PLATFORM = "onnxruntime_onnx"

_PHASES = {"queue": "queue", "compute_input": "read", "compute_infer": "run", "compute_output": "write"}


class About:
    """Tells of one model."""

    def __init__(self, endpoint: LiveVariant) -> None:
        self._endpoint = endpoint
        self._name, self._version = endpoint.record.name, str(endpoint.variant.version)
        self._inputs = [(column.name, DATATYPE_OF_KIND[column.kind], [-1, 1]) for column in endpoint.signature.columns]
        self._outputs = [(output.name, output.datatype, _shape(output)) for output in Outputs(endpoint.signature).usual]

    def metadata(self) -> dict[str, Any]:
        """$metadata_model_response."""
        return {
            "name": self._name,
            "versions": list(dict.fromkeys(str(variant.version) for variant in self._endpoint.record.variants)),
            "platform": PLATFORM,
            "inputs": [_tensor(*tensor) for tensor in self._inputs],
            "outputs": [_tensor(*tensor) for tensor in self._outputs],
        }

    def configuration(self) -> dict[str, Any]:
        """$model_configuration_response; max_batch_size 0 says that shapes are written with the rows."""
        return {
            "name": self._name,
            "platform": PLATFORM,
            "backend": "onnxruntime",
            "version_policy": {"specific": {"versions": [self._endpoint.variant.version]}},
            "max_batch_size": 0,
            "input": [_field(*tensor) for tensor in self._inputs],
            "output": [_field(*tensor) for tensor in self._outputs],
        }

    def statistics(self) -> dict[str, Any]:
        """$model_stat. Of failed requests only the number is known."""
        metrics = self._endpoint.metrics
        answered = metrics.answered
        return {
            "name": self._name,
            "version": self._version,
            "last_inference": int(metrics.last_at * 1000),
            "inference_count": metrics.rows,
            "execution_count": metrics.runs,
            "inference_stats": {
                "success": _duration(answered, metrics.total),
                "fail": {"count": _failed(metrics), "ns": 0},
                **{name: _duration(answered, metrics.seconds[phase]) for name, phase in _PHASES.items()},
                "cache_hit": {"count": 0, "ns": 0},
                "cache_miss": {"count": 0, "ns": 0},
            },
            "batch_stats": [],
        }


def _shape(output: Output) -> list[int]:
    return [-1] if output.width is None else [-1, output.width]


def _tensor(name: str, datatype: str, shape: Sequence[int]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}


def _field(name: str, datatype: str, shape: Sequence[int]) -> dict[str, Any]:
    return {"name": name, "data_type": "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}", "dims": shape}


def _duration(count: int, spent: Histogram) -> dict[str, int]:
    return {"count": count, "ns": int(spent.total * 1e9)}


def _failed(metrics: EndpointMetrics) -> int:
    """Requests that were answered with an error, in whatever protocol."""
    return sum(count for (_, status), count in metrics.replies.by_status.copy().items() if status >= 400)

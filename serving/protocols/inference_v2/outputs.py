"""A model's answers as tensors.

label          BYTES or INT64 [N]    of classes
probabilities  FP32 [N,C]            in the order of the model's classes
prediction     FP64 [N,1]            of regression
interval       FP64 [N,2]            lower and upper end, of regression
set            BOOL [N,C]            whether the row may have the class
of             as label              the class whose probability is explained
base           FP64 [N]              its mean over rows of training
contributions  FP64 [N,P]            what each column added to it, in the order of the inputs

The first three are the usual ones. The others are there if they are named, or asked for by the parameters `interval`
and `explain`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from serving.engine import Written
from serving.errors import OptionError
from serving.formats import Answer
from serving.options import Options, options_of
from serving.protocols.inference_v2.packing import pack
from serving.protocols.inference_v2.requests import InferRequest
from serving.protocols.inference_v2.tensors import write_binary
from storage.errors import listed
from storage.signature import Signature

#: Parameters of a request that say which outputs are wanted.
_OPTIONS = ("probabilities", "interval", "explain")
_SURE = ("interval", "set")
_EXPLAINED = ("of", "base", "contributions")

_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")


class Output(NamedTuple):
    """One output. width: the second dimension; None if there is none."""

    name: str
    datatype: str
    width: int | None = None


class Asking(NamedTuple):
    """What outputs a request asks for. wanted: each with whether it is sent in binary."""

    wanted: tuple[tuple[Output, bool], ...]
    options: Options


class Reply(NamedTuple):
    """What goes back beside the outputs. head: of the JSON. accept: the header Accept-Encoding."""

    head: Mapping[str, str]
    headers: list[tuple[bytes, bytes]]
    accept: bytes | None


class Outputs:
    """Writes the answers of one model."""

    def __init__(self, signature: Signature) -> None:
        self.all = {output.name: output for output in _outputs(signature)}
        self.usual = [self.all[name] for name in ("label", "probabilities", "prediction") if name in self.all]
        self._usual = {
            binary: Asking(tuple((output, binary) for output in self.usual), Options()) for binary in (False, True)
        }

    def asking(self, request: InferRequest) -> Asking:
        """What a request asks for. Raises OptionError for an output or a parameter that cannot be followed."""
        parameters = request.parameters or {}
        binary = parameters.get("binary_data_output", False)
        if not isinstance(binary, bool):
            raise OptionError(f"Parameter 'binary_data_output' is {repr(binary)[:60]}. Use true or false.")
        if "columns" in parameters:
            raise OptionError("Parameter 'columns' is not followed here. Name what you want in 'outputs'.")
        options = {name: parameters[name] for name in _OPTIONS if name in parameters}
        if not request.outputs and not options:
            return self._usual[binary]
        return self._asking(request, binary, options_of(options))

    def _asking(self, request: InferRequest, binary: bool, options: Options) -> Asking:
        if request.outputs:
            wanted = {one.name: self._wanted(one.name, one.parameters, binary) for one in request.outputs}
        else:
            kept = [one for one in self.usual if options.probabilities or one.name != "probabilities"]
            wanted = {one.name: (one, binary) for one in kept}
        added = (*(_SURE if options.interval else ()), *(_EXPLAINED if options.explain else ()))
        for name in added:
            if name in self.all:
                wanted.setdefault(name, (self.all[name], binary))
        return Asking(
            tuple(wanted.values()),
            Options(
                interval=not wanted.keys().isdisjoint(_SURE),
                explain=not wanted.keys().isdisjoint(_EXPLAINED),
            ),
        )

    def _wanted(self, name: str, parameters: Any, binary: bool) -> tuple[Output, bool]:
        output = self.all.get(name)
        if output is None:
            raise OptionError(f"The model has no output {name!r}. It has {listed(tuple(self.all))}.")
        if parameters is None:
            return output, binary
        if parameters.classification:
            raise OptionError(
                f"Output {name!r} is asked for with 'classification', which is not followed here. "
                "Ask for 'label' and 'probabilities'."
            )
        if parameters.shared_memory_region is not None:
            raise OptionError(f"Output {name!r} is wanted in shared memory, which is not written here. Leave that out.")
        return output, binary if parameters.binary_data is None else parameters.binary_data


def write(asking: Asking, reply: Reply, answer: Answer) -> Written:
    """The body of an answer, and its headers."""
    told: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for output, is_binary in asking.wanted:
        cells = _cells(output, answer)
        shape = [len(cells)] if output.width is None else [len(cells), output.width]
        one: dict[str, Any] = {"name": output.name, "shape": shape, "datatype": output.datatype}
        if is_binary:
            octets = write_binary(output.datatype, cells)
            one["parameters"] = {"binary_data_size": len(octets)}
            parts.append(octets)
        else:
            one["data"] = cells if isinstance(cells, list) else cells.ravel().tolist()
        told.append(one)
    body = msgspec.json.encode({**reply.head, "outputs": told})
    headers = [_JSON, *reply.headers]
    if any(is_binary for _, is_binary in asking.wanted):
        headers = [_BINARY, (b"inference-header-content-length", str(len(body)).encode()), *reply.headers]
        body = b"".join([body, *parts])
    body, encoding = pack(body, reply.accept)
    return Written([*headers, *encoding], body)


def _cells(output: Output, answer: Answer) -> Any:
    """An output's elements: an array, or a list of those that are text or classes."""
    if output.name in answer.outputs._fields:
        cells = getattr(answer.outputs, output.name)
        return cells.tolist() if output.name == "label" else cells
    if answer.explained is None:  # of no rows nothing is explained
        return np.empty(0 if output.width is None else (0, output.width))
    cells = getattr(answer.explained, output.name)
    return list(cells) if output.name == "of" else cells


def _outputs(signature: Signature) -> list[Output]:
    """All outputs of a model."""
    explained = [Output("base", "FP64"), Output("contributions", "FP64", len(signature.columns))]
    if signature.task == "regression":
        return [Output("prediction", "FP64", 1), Output("interval", "FP64", 2), *explained]
    classes = len(signature.classes)
    datatype = "BYTES" if isinstance(signature.classes[0], str) else "INT64"
    return [
        Output("label", datatype),
        Output("probabilities", "FP32", classes),
        Output("set", "BOOL", classes),
        Output("of", datatype),
        *explained,
    ]

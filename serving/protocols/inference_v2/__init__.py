"""The Open Inference Protocol over REST, which KServe calls its V2 protocol, with Triton's extensions.

POST /v2/models/NAME[/versions/V]/infer
    {"inputs": [{"name": "age", "shape": [2], "datatype": "FP64", "data": [41, 29]}]}
    {"model_name": "NAME", "model_version": "3", "outputs": [{"name": "prediction", "shape": [2, 1], ...}]}

A model's name is the endpoint's, its version the model version's number. Each raw column is a tensor of its own, as in
the portable model file; a model of numbers also takes all of them in one. Tensors may stand behind the JSON in binary.

- `protocol.py`: the paths; start reading there;
- `bodies.py`: what a body asks, and what belongs to its answer;
- `requests.py`: its JSON, and the bytes behind it; `tensors.py`: the elements of tensors, as JSON and as bytes;
- `inputs.py`: tensors to a model's inputs; `outputs.py`: answers to tensors; `packing.py`: answers that are packed;
- `models.py`: metadata, configuration and statistics.

What may not live here: the meaning of a cell (`storage.boundary`).

Decisions:
    Parameters that nobody here knows are not looked at, since proxies and runtimes add theirs (MLServer's
        `content_type`); `priority` and `sequence_*` are among them: rows depend on no other request.
    JSON of a datatype is what the datatype can hold, so that a tensor means the same in JSON and in binary; whole
        numbers that float64 cannot hold are refused rather than rounded.
    Unloading an endpoint is refused: the store says what is served, and other servers follow it too.
    Metadata names the usual outputs alone. Clients ask for all that it names, and explanations take milliseconds a row.

See https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md and
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from serving.protocols.inference_v2.protocol import EXTENSIONS, PREFIX, InferenceV2

__all__ = ["EXTENSIONS", "PREFIX", "InferenceV2"]

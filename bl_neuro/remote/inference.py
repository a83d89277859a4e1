"""One inference request: encoding a batch of queries, and decoding the tensor in the response."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

import torch
from torch import Tensor

from bl_neuro.backends.inputs import per_frame
from bl_neuro.errors import EndpointProtocolError, InputError
from bl_neuro.remote.bodies import need_no_error, read_json
from bl_neuro.remote.connection import HttpResponse
from bl_neuro.remote.described import Described
from bl_neuro.remote.tensors import PROTOCOL, from_bytes, from_json, pack, packing_of, to_bytes, to_json

HEADER_LENGTH = "Inference-Header-Content-Length"
LARGEST = torch.finfo(torch.float32).max
"""Largest value in an answer: sums of larger ones would overflow."""
_JSON_BYTES, _ROOM = 32, 2**20
"""Bytes of a response: maximum per value as JSON, and for everything else."""
DTYPES = {
    "BOOL": torch.bool,
    "UINT8": torch.uint8,
    "INT8": torch.int8,
    "INT16": torch.int16,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "FP32": torch.float32,
    "FP64": torch.float64,
    "FP16": torch.float16,
    **dict.fromkeys(("UINT16", "UINT32", "UINT64"), torch.uint8),
}
"""torch dtypes that hold zeros and ones, or rates, of each protocol datatype before they are sent."""


def laid_out(spikes: Tensor, model: Described) -> Tensor:
    """`spikes` (T, B, *input_shape) in the model's layout; for rates, their mean over time (B, *input_shape)."""
    if model.layout == "rates":
        return spikes.double().mean(0).to(DTYPES[model.datatype])
    values = per_frame(lambda frames: frames.to(DTYPES[model.datatype]), spikes)
    return values.transpose(0, 1) if model.layout == "batch_first" else values


Wire = Literal["json", "binary", "packed"]
"""Encoding of a request's tensor: JSON, or bytes or bits after the JSON (`bl_neuro.remote.tensors`)."""


def request(values: Tensor, model: Described, wire: Wire) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request for `values`."""
    tensor: dict[str, Any] = {"name": model.input, "datatype": model.datatype, "shape": list(values.shape)}
    output: dict[str, Any] = {"name": model.output}
    content: dict[str, Any] = {"inputs": [tensor], "outputs": [output]}
    if wire == "json":
        tensor["data"] = to_json(values)
        return json.dumps(content).encode(), {"Content-Type": "application/json"}
    raw = pack(values) if wire == "packed" else to_bytes(values, model.datatype)
    tensor["parameters"] = {"binary_data_size": len(raw)}
    if wire == "packed":
        tensor["parameters"]["packed"] = packing_of(values)
    output["parameters"] = {"binary_data": True}
    header = json.dumps(content, separators=(",", ":")).encode()
    return header + raw, {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(header))}


def max_response_bytes(model: Described, batch: int, steps: int) -> int:
    """Maximum bytes of the response to a request of this size."""
    return _ROOM + answer_bytes(model, batch, steps)


def answer_bytes(model: Described, batch: int, steps: int) -> int:
    """Maximum bytes of the answer to a request of this size, without the rest of the response."""
    return _JSON_BYTES * math.prod(_shape(model, batch, steps))


def answer(response: HttpResponse, model: Described, batch: int, steps: int, url: str) -> Tensor:
    """The answer of a black box, decoded from an endpoint's response.

    Raises:
        EndpointProtocolError: the response violates the protocol, or has a shape that does not match `reveals`.
    """
    header = response.body[: _header_length(response, url)]
    raw = memoryview(response.body)[len(header) :]
    header_json = read_json(header, url)
    need_no_error(header_json, "outputs", "outputs", url)
    try:
        return _as_box(_output(header_json, raw, model, _shape(model, batch, steps)), model)
    except InputError as error:
        raise EndpointProtocolError(f"{url}: expected output {model.output[:100]!r}: {error}") from error


def _header_length(response: HttpResponse, url: str) -> int:
    """Number of bytes of the JSON header."""
    length = response.headers.get(HEADER_LENGTH.lower())
    if length is None:
        return len(response.body)
    if not (length.isascii() and length.isdigit() and len(length) < 12 and int(length) <= len(response.body)):
        raise EndpointProtocolError(f"{url}: expected {HEADER_LENGTH} within the response, found {length[:20]!r}")
    return int(length)


def _shape(model: Described, batch: int, steps: int) -> tuple[int, ...]:
    """Shape of the answer in the response, batch on axis 0."""
    if model.reveals == "label":
        return (batch,)
    return (batch, model.classes) if model.reveals in ("scores", "counts") else (batch, steps, model.classes)


def _output(response: Any, raw: memoryview, model: Described, expected: tuple[int, ...]) -> Tensor:
    """The model's output tensor; binary outputs are stored in the order in which they are listed."""
    offset = 0
    for output in _outputs(response):
        size = _parameters(output).get("binary_data_size")
        if size is not None and (type(size) is not int or not 0 <= size <= len(raw) - offset):
            raise InputError("binary_data_size exceeds the response")
        if output.get("name") == model.output:
            shape, datatype = _agreed_shape(output.get("shape"), model, expected), output.get("datatype")
            if size is None:
                return from_json(output.get("data"), datatype, shape, PROTOCOL).reshape(expected)
            return from_bytes(raw[offset : offset + size], datatype, shape, PROTOCOL).reshape(expected)
        offset += size or 0
    raise InputError("the response does not contain it")


def _outputs(response: Any) -> list[dict[str, Any]]:
    outputs = response.get("outputs") if isinstance(response, dict) else None
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise InputError("the response has no list of outputs")
    return outputs


def _parameters(output: dict[str, Any]) -> dict[str, Any]:
    parameters = output.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise InputError(f"parameters: expected an object, found {type(parameters).__name__}")
    return parameters


def _agreed_shape(declared: Any, model: Described, expected: tuple[int, ...]) -> list[int]:
    """The declared shape, checked against the expected one; labels may have shape (B, 1)."""
    for shape in ([*expected], [*expected, 1]) if model.reveals == "label" else ([*expected],):
        if declared == shape:
            return shape
    raise InputError(f"expected shape {expected} of {model.reveals}, found {str(declared)[:60]}")


def _as_box(values: Tensor, model: Described) -> Tensor:
    if values.is_floating_point() and not bool(values.isfinite().all()):
        raise InputError("expected finite values, found others")
    if values.dtype == torch.float64 and bool((values.abs() > LARGEST).any()):
        raise InputError(f"expected values of at most {LARGEST:.1e} in size, the range of FP32, found larger ones")
    if model.reveals == "label":
        labels = values.to(torch.int64)
        if bool((labels != values).any()) or bool((labels < 0).any()) or bool((labels >= model.classes).any()):
            raise InputError(f"expected labels in 0..{model.classes - 1}")
        return labels
    result = values if values.is_floating_point() else values.float()
    return result.transpose(0, 1) if model.reveals in ("membrane", "spikes") else result

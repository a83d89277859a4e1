"""One inference over the wire: the request for a batch of queries, and the tensor in the answer."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

import torch
from torch import Tensor

from bl_neuro.backends.base import per_frame
from bl_neuro.errors import EndpointProtocolError, InputError
from bl_neuro.remote.connection import Answered, read_json
from bl_neuro.remote.described import Described
from bl_neuro.remote.tensors import PROTOCOL, from_bytes, from_json, pack, packing_of, to_bytes, to_json

HEADER_LENGTH = "Inference-Header-Content-Length"
_JSON_BYTES, _ROOM = 32, 2**20
"""Of an answer: bytes that one value may take as JSON, and those of the rest of it."""
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
"""In which 0 and 1, or rates, are held until they are sent."""


def laid_out(spikes: Tensor, model: Described) -> Tensor:
    """`spikes` (T, B, *input_shape) as the model takes them: with rates, their mean over time (B, *input_shape)."""
    if model.layout == "rates":
        return spikes.double().mean(0).to(DTYPES[model.datatype])
    values = per_frame(lambda frames: frames.to(DTYPES[model.datatype]), spikes)
    return values.transpose(0, 1) if model.layout == "batch_first" else values


Wire = Literal["json", "binary", "packed"]
"""How a request carries its tensor: as JSON, or as bytes or bits behind the JSON (`bl_neuro.remote.tensors`)."""


def request(values: Tensor, model: Described, wire: Wire) -> tuple[bytes, dict[str, str]]:
    """Body and headers that ask for `values`."""
    tensor: dict[str, Any] = {"name": model.input, "datatype": model.datatype, "shape": list(values.shape)}
    wanted: dict[str, Any] = {"name": model.output}
    asked: dict[str, Any] = {"inputs": [tensor], "outputs": [wanted]}
    if wire == "json":
        tensor["data"] = to_json(values)
        return json.dumps(asked).encode(), {"Content-Type": "application/json"}
    raw = pack(values) if wire == "packed" else to_bytes(values, model.datatype)
    tensor["parameters"] = {"binary_data_size": len(raw)}
    if wire == "packed":
        tensor["parameters"]["packed"] = packing_of(values)
    wanted["parameters"] = {"binary_data": True}
    header = json.dumps(asked, separators=(",", ":")).encode()
    return header + raw, {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(header))}


def most_bytes(model: Described, batch: int, steps: int) -> int:
    """Bytes that an answer to a request of this size can need."""
    return _ROOM + _JSON_BYTES * math.prod(_shape(model, batch, steps))


def answer(answered: Answered, model: Described, batch: int, steps: int, where: str) -> Tensor:
    """What a black box answers, from an endpoint's answer.

    Raises:
        EndpointProtocolError: it is not the protocol's, or not of the shape that `reveals` means.
    """
    header = answered.body[: _header_length(answered, where)]
    raw = memoryview(answered.body)[len(header) :]
    found = read_json(header, where)
    try:
        return _as_box(_output(found, raw, model, _shape(model, batch, steps)), model)
    except (InputError, KeyError, TypeError, AttributeError) as error:
        raise EndpointProtocolError(f"{where}: expected output {model.output[:100]!r}: {error}") from error


def _header_length(answered: Answered, where: str) -> int:
    """Bytes of the JSON in front."""
    said = answered.headers.get(HEADER_LENGTH.lower())
    if said is None:
        return len(answered.body)
    if not (said.isascii() and said.isdigit() and len(said) < 12 and int(said) <= len(answered.body)):
        raise EndpointProtocolError(f"{where}: expected {HEADER_LENGTH} within the answer, found {said[:20]!r}")
    return int(said)


def _shape(model: Described, batch: int, steps: int) -> tuple[int, ...]:
    """Of the answer on the wire, batch on axis 0."""
    if model.reveals == "label":
        return (batch,)
    return (batch, model.classes) if model.reveals in ("scores", "counts") else (batch, steps, model.classes)


def _output(found: Any, raw: memoryview, model: Described, expected: tuple[int, ...]) -> Tensor:
    """The model's output; binary outputs follow one another in the order in which they are listed."""
    at = 0
    for output in found["outputs"]:
        size = (output.get("parameters") or {}).get("binary_data_size")
        if size is not None and (type(size) is not int or not 0 <= size <= len(raw) - at):
            raise InputError("binary_data_size reaches beyond the answer")
        if output["name"] == model.output:
            shape = _agreed_shape(output["shape"], model, expected)
            if size is None:
                return from_json(output["data"], output["datatype"], shape, PROTOCOL).reshape(expected)
            return from_bytes(raw[at : at + size], output["datatype"], shape, PROTOCOL).reshape(expected)
        at += size or 0
    raise InputError("there is none")


def _agreed_shape(said: Any, model: Described, expected: tuple[int, ...]) -> list[int]:
    """What the answer says, if it is what it must be; labels may be a column."""
    for shape in ([*expected], [*expected, 1]) if model.reveals == "label" else ([*expected],):
        if said == shape:
            return shape
    raise InputError(f"expected shape {expected} of {model.reveals}, found {str(said)[:60]}")


def _as_box(values: Tensor, model: Described) -> Tensor:
    if values.is_floating_point() and not bool(values.isfinite().all()):
        raise InputError("expected finite values, found others")
    if model.reveals == "label":
        labels = values.to(torch.int64)
        if bool((labels != values).any()) or bool((labels < 0).any()) or bool((labels >= model.classes).any()):
            raise InputError(f"expected labels in 0..{model.classes - 1}")
        return labels
    shown = values if values.is_floating_point() else values.float()
    return shown.transpose(0, 1) if model.reveals in ("membrane", "spikes") else shown

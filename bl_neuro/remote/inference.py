"""One inference over the wire: the request for a batch of queries, and the tensor in the answer."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

import torch
from torch import Tensor

from bl_neuro.access import Reveals
from bl_neuro.backends.base import per_frame
from bl_neuro.errors import EndpointProtocolError, InputError
from bl_neuro.remote.connection import Answered, read_json
from bl_neuro.remote.described import Described
from bl_neuro.remote.packed import pack, packing_of
from bl_neuro.remote.tensors import from_bytes, from_json, to_bytes, to_json

HEADER_LENGTH = "Inference-Header-Content-Length"
_DTYPES = {
    "BOOL": torch.bool,
    "UINT8": torch.uint8,
    "INT8": torch.int8,
    "INT16": torch.int16,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "FP32": torch.float32,
    "FP64": torch.float64,
}


def laid_out(spikes: Tensor, model: Described) -> Tensor:
    """`spikes` (T, B, *input_shape) as the model takes them: with rates, their mean over time (B, *input_shape)."""
    if model.layout == "rates":
        return spikes.double().mean(0).to(_DTYPES[model.datatype])
    values = per_frame(lambda frames: frames.to(_DTYPES[model.datatype]), spikes)
    return values.transpose(0, 1) if model.layout == "batch_first" else values


Wire = Literal["json", "binary", "packed"]
"""How a request carries its tensor: as JSON, as bytes behind the JSON, as bits behind it (`bl_neuro.remote.packed`)."""


def request(values: Tensor, model: Described, wire: Wire) -> tuple[bytes, dict[str, str]]:
    """Body and headers that ask for `values`."""
    tensor: dict[str, Any] = {"name": model.input, "datatype": model.datatype, "shape": list(values.shape)}
    wanted: dict[str, Any] = {"name": model.output}
    asked: dict[str, Any] = {"inputs": [tensor], "outputs": [wanted]}
    if wire == "json":
        tensor["data"] = to_json(values)
        return json.dumps(asked).encode(), {"Content-Type": "application/json"}
    raw = pack(values) if wire == "packed" else to_bytes(values)
    tensor["parameters"] = {"binary_data_size": len(raw)}
    if wire == "packed":
        tensor["parameters"]["packed"] = packing_of(values)
    wanted["parameters"] = {"binary_data": True}
    header = json.dumps(asked, separators=(",", ":")).encode()
    return header + raw, {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(header))}


def answer(answered: Answered, model: Described, batch: int, steps: int, where: str) -> Tensor:
    """What a black box answers, from an endpoint's answer.

    Raises:
        EndpointProtocolError: it is not the protocol's, or not of the shape that `reveals` means.
    """
    length = answered.headers.get(HEADER_LENGTH.lower())
    if length is not None and not (length.isascii() and length.isdigit() and int(length) <= len(answered.body)):
        raise EndpointProtocolError(f"{where}: expected {HEADER_LENGTH} within the answer, found {length[:20]!r}")
    header = answered.body if length is None else answered.body[: int(length)]
    raw = memoryview(answered.body)[len(header) :]
    found = read_json(header, where)
    try:
        return _as_box(_output(found, raw, model.output), model.reveals, batch, steps, model.classes)
    except (InputError, KeyError, TypeError, AttributeError) as error:
        raise EndpointProtocolError(f"{where}: expected output {model.output!r}: {error}") from error


def _output(found: Any, raw: memoryview, name: str) -> Tensor:
    """The output of that name; binary outputs follow one another in the order in which they are listed."""
    at = 0
    for output in found["outputs"]:
        size = (output.get("parameters") or {}).get("binary_data_size")
        if size is not None and (type(size) is not int or not 0 <= size <= len(raw) - at):
            raise InputError("binary_data_size reaches beyond the answer")
        if output["name"] == name:
            shape, datatype = output["shape"], output["datatype"]
            if not all(type(side) is int and 0 <= side < 2**31 for side in shape):
                raise InputError("its shape is none")
            if size is None:
                return from_json(output["data"], datatype, shape)
            return from_bytes(raw[at : at + size], datatype, shape)
        at += size or 0
    raise InputError("there is none")


def _as_box(values: Tensor, reveals: Reveals, batch: int, steps: int, classes: int) -> Tensor:
    expected = {"label": (batch,), "scores": (batch, classes), "counts": (batch, classes)}.get(
        reveals, (batch, steps, classes)
    )
    if reveals == "label" and tuple(values.shape) == (batch, 1):
        values = values[:, 0]
    if tuple(values.shape) != expected or values.numel() != math.prod(expected):
        raise InputError(f"expected shape {expected} of {reveals}, found {tuple(values.shape)}")
    if values.is_floating_point() and not bool(values.isfinite().all()):
        raise InputError("expected finite values, found others")
    if reveals == "label":
        labels = values.to(torch.int64)
        if bool((labels != values).any()) or bool((labels < 0).any()) or bool((labels >= classes).any()):
            raise InputError(f"expected labels in 0..{classes - 1}")
        return labels
    shown = values if values.is_floating_point() else values.float()
    return shown.transpose(0, 1) if reveals in ("membrane", "spikes") else shown

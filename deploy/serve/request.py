"""Parsing and validation of inference requests of the Open Inference Protocol v2, in JSON or with binary tensors."""

from __future__ import annotations

import hashlib
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from torch import Tensor

from bl_neuro.checks import expectation
from bl_neuro.deploy.serve.problem import Problem, busy
from bl_neuro.errors import InputError
from bl_neuro.remote.bodies import strict_json
from bl_neuro.remote.tensors import from_bytes, from_json, unpack

INPUT = "spikes"
MAX_HEADER = 64 * 2**10
"""Maximum bytes of the JSON that precedes binary tensors."""
MAX_NODES, MAX_QUOTES = 2**16, 2**10
"""Maximum number of lists and objects, and of quotation marks, in a request's JSON; bounds the cost of parsing."""
_LONGEST = 256


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class InputTensor(_Strict):
    """The input tensor of an inference request."""

    name: str = Field(max_length=_LONGEST)
    datatype: str = Field(max_length=_LONGEST)
    shape: list[int] = Field(max_length=16)
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: Any = None


class RequestedOutput(_Strict):
    """An output that an inference request names."""

    name: str = Field(max_length=_LONGEST)
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferenceRequest(_Strict):
    """The JSON of an inference request, as the protocol defines it."""

    id: str | None = Field(default=None, max_length=_LONGEST)
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedOutput] | None = Field(default=None, max_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Query:
    """A parsed query.

    values: (T, B, *input_shape), not yet validated. digest: hash of the values, shape, datatype and packing. binary:
    whether the client wants a binary answer.
    """

    id: str | None
    values: Tensor
    digest: bytes
    binary: bool
    spikes: bool
    """Whether the values are known to be uint8 zeros and ones, because they were sent as bits."""


@dataclass(frozen=True)
class Limits:
    """The limits of one request."""

    input_shape: tuple[int, ...]
    steps: int
    batch: int
    json_bytes: int
    values: int
    """Maximum bytes of the unpacked spikes of one request."""


def read_query(
    body: bytes, header_length: str | None, output: str, limits: Limits, reserve: Callable[[int], None]
) -> Query:
    """The query in `body`. header_length: the Inference-Header-Content-Length header.

    reserve: called with the number of bytes that packed spikes unpack to, before unpacking; may raise to refuse.

    Raises:
        Problem: 400 or 413, with the expected values.
    """
    header, raw = _split(body, header_length, limits.json_bytes)
    request = _parsed(header)
    tensor = request.inputs[0]
    if tensor.name != INPUT:
        raise _bad(f"inputs: expected one named {INPUT!r}")
    for requested in request.outputs or ():
        if requested.name != output:
            raise _bad(f"outputs: expected {output!r}, the only output")
    _check_shape(tensor.shape, limits)
    packed = "packed" in tensor.parameters
    values = _unpacked(tensor, raw, limits, reserve) if packed else _values(tensor, raw)
    digest = hashlib.sha256(f"{tensor.parameters.get('packed', '')} {values.dtype} {tuple(values.shape)} ".encode())
    digest.update(raw if packed and raw is not None else values.numpy().data)
    return Query(request.id, values, digest.digest(), _wants_binary(request), packed)


def _split(body: bytes, header_length: str | None, max_json: int) -> tuple[bytes, memoryview | None]:
    if header_length is None:
        if len(body) > max_json:
            raise Problem(413, "too_large", f"expected at most {max_json} bytes of JSON; use binary tensors")
        return body, None
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 9):
        raise _bad("Inference-Header-Content-Length: expected a number of bytes")
    length = int(header_length)
    if length > min(len(body), MAX_HEADER):
        raise _bad(f"Inference-Header-Content-Length: expected at most the body, and at most {MAX_HEADER} bytes")
    return body[:length], memoryview(body)[length:]


def _parsed(header: bytes) -> InferenceRequest:
    if header.count(b"[") + header.count(b"{") > MAX_NODES or header.count(b'"') > MAX_QUOTES:
        raise _bad("body: expected one input of numbers, found too many lists, objects or strings")
    try:
        return InferenceRequest.model_validate(strict_json(header.decode("utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        location = ".".join(str(part) for part in first["loc"])[:100] or "body"
        raise _bad(f"{location}: {expectation(first)}") from error
    except RecursionError as error:
        raise _bad("body: nested too deeply") from error
    except ValueError as error:
        raise _bad("body: expected JSON in UTF-8") from error


def _check_shape(shape: list[int], limits: Limits) -> None:
    expected = ("T", "B", *limits.input_shape)
    if len(shape) != len(expected) or tuple(shape[2:]) != limits.input_shape or min(shape[:2]) < 1:
        raise _bad(f"shape: expected ({', '.join(map(str, expected))}), T and B at least 1, found {str(shape)[:100]}")
    if shape[0] > limits.steps or shape[1] > limits.batch:
        raise Problem(413, "too_large", f"shape: expected at most {limits.steps} steps and {limits.batch} samples")


def _values(tensor: InputTensor, raw: memoryview | None) -> Tensor:
    size = tensor.parameters.get("binary_data_size")
    try:
        if size is None:
            if tensor.data is None:
                raise _bad("inputs.0: expected data, or parameters.binary_data_size and binary data")
            if raw is not None and len(raw):
                raise _bad("body: expected no data after the JSON")
            return from_json(tensor.data, tensor.datatype, tensor.shape)
        if tensor.data is not None or raw is None or type(size) is not int or size != len(raw):
            raise _bad("binary_data_size: expected the number of bytes behind the JSON, and no data in it")
        return from_bytes(raw, tensor.datatype, tensor.shape)
    except InputError as error:
        raise _bad(str(error)) from error


def _unpacked(tensor: InputTensor, raw: memoryview | None, limits: Limits, reserve: Callable[[int], None]) -> Tensor:
    size = tensor.parameters.get("binary_data_size")
    if tensor.data is not None or raw is None or type(size) is not int or size != len(raw):
        raise _bad("binary_data_size: expected the number of bytes behind the JSON, and no data in it")
    if tensor.datatype != "UINT8":
        raise _bad("packed: expected UINT8 spikes")
    unpacked = math.prod(tensor.shape)
    if unpacked > limits.values:
        raise Problem(413, "too_large", f"shape: expected at most {limits.values} spikes in a request")
    reserve(unpacked)
    try:
        return unpack(raw, tensor.parameters["packed"], tensor.shape)
    except InputError as error:
        raise _bad(str(error)) from error


def _wants_binary(request: InferenceRequest) -> bool:
    for output in request.outputs or ():
        if "binary_data" in output.parameters:
            return output.parameters["binary_data"] is True
    return request.parameters.get("binary_data_output") is True


def _bad(message: str) -> Problem:
    return Problem(400, "bad_request", message)


SMALL = 64 * 2**10
"""Maximum bytes of a small request, which may use memory that is reserved for such requests."""


class BodyReader:
    """Reads bodies of at most `max_body` bytes, with at most `room` received bytes in memory at a time.

    One client may use at most half of the room, and an eighth of it is reserved for small requests.
    """

    def __init__(self, max_body: int, room: int) -> None:
        self._max_body, self._room = max_body, max(room, 4 * max_body)
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def space(self, request: Request, client: str) -> Iterator[Callable[[int], None]]:
        """A context whose function reserves bytes for `request`; all of them are released at the end of the context."""
        self._check_announced(request)
        reserved, ended = 0, False

        def reserve(size: int) -> None:
            nonlocal reserved
            with self._lock:
                if ended:  # the deadline passed while a thread was still parsing the request
                    raise busy("the deadline passed")
                free_reserve = 0 if reserved + size <= SMALL else self._room // 8
                if self._held[client] + size > self._room // 2 or self._held.total() + size > self._room - free_reserve:
                    raise busy("too many large requests at once")
                self._held[client] += size
                reserved += size

        try:
            yield reserve
        finally:
            with self._lock:
                ended = True
                self._held[client] -= reserved
                if not self._held[client]:
                    del self._held[client]

    def _check_announced(self, request: Request) -> None:
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem(415, "compressed", "Content-Encoding: expected none")
        length = request.headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 16):
            raise self._too_large()
        if length is not None and int(length) > self._max_body:
            raise self._too_large()

    def _too_large(self) -> Problem:
        return Problem(413, "too_large", f"expected a body of at most {self._max_body} bytes")

    async def read(self, request: Request, reserve: Callable[[int], None]) -> bytes:
        """The whole body. reserve: the function of `space`."""
        parts, size = [], 0
        try:
            async for part in request.stream():
                size += len(part)
                if size > self._max_body:
                    raise self._too_large()
                reserve(len(part))
                parts.append(part)
        except ClientDisconnect as error:
            raise Problem(400, "disconnected", "the client disconnected before the end of the body") from error
        return b"".join(parts)

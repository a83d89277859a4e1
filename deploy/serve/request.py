"""What a client asks: an inference request of the Open Inference Protocol v2, JSON or with binary tensors, checked."""

from __future__ import annotations

import hashlib
import json
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

from bl_neuro.deploy.serve.problem import Problem, busy
from bl_neuro.errors import InputError
from bl_neuro.remote.tensors import from_bytes, from_json, unpack

INPUT = "spikes"
MAX_HEADER = 64 * 2**10
"""Bytes of the JSON in front of binary tensors."""
MOST_NODES, MOST_QUOTES = 2**16, 2**10
"""Lists and objects, and quotation marks, of a request's JSON: what parsing it may cost."""
_LONGEST = 256


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class _Input(_Strict):
    name: str = Field(max_length=_LONGEST)
    datatype: str = Field(max_length=_LONGEST)
    shape: list[int] = Field(max_length=16)
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: Any = None


class _Output(_Strict):
    name: str = Field(max_length=_LONGEST)
    parameters: dict[str, Any] = Field(default_factory=dict)


class _Request(_Strict):
    id: str | None = Field(default=None, max_length=_LONGEST)
    inputs: list[_Input] = Field(min_length=1, max_length=1)
    outputs: list[_Output] | None = Field(default=None, max_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Query:
    """What was asked. values: (T, B, *input_shape), not yet looked at. digest: of the values and their form."""

    id: str | None
    values: Tensor
    digest: bytes
    binary: bool
    spikes: bool
    """Whether the values are uint8 of 0 and 1 for certain, as bits are."""


@dataclass(frozen=True)
class Limits:
    """What a request may hold."""

    input_shape: tuple[int, ...]
    steps: int
    batch: int
    json_bytes: int
    values: int
    """Of one request: bytes that its unpacked spikes take."""


def read_query(
    body: bytes, header_length: str | None, output: str, limits: Limits, need: Callable[[int], None]
) -> Query:
    """The query in `body`. header_length: the Inference-Header-Content-Length header.

    need: is told how many bytes packed spikes unpack to, before they are, and may refuse.

    Raises:
        Problem: 400 or 413, with what was expected.
    """
    header, raw = _split(body, header_length, limits.json_bytes)
    request = _parsed(header)
    given = request.inputs[0]
    if given.name != INPUT:
        raise _bad(f"inputs: expected one named {INPUT!r}")
    for wanted in request.outputs or ():
        if wanted.name != output:
            raise _bad(f"outputs: expected {output!r}, the one that there is")
    _check_shape(given.shape, limits)
    packed = "packed" in given.parameters
    values = _unpacked(given, raw, limits, need) if packed else _values(given, raw)
    digest = hashlib.sha256(f"{given.parameters.get('packed', '')} {values.dtype} {tuple(values.shape)} ".encode())
    digest.update(raw if packed and raw is not None else values.numpy().data)
    return Query(request.id, values, digest.digest(), _wants_binary(request), packed)


def _split(body: bytes, header_length: str | None, most_json: int) -> tuple[bytes, memoryview | None]:
    if header_length is None:
        if len(body) > most_json:
            raise Problem(413, "too_large", f"expected at most {most_json} bytes of JSON; use binary tensors")
        return body, None
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 9):
        raise _bad("Inference-Header-Content-Length: expected a number of bytes")
    length = int(header_length)
    if length > min(len(body), MAX_HEADER):
        raise _bad(f"Inference-Header-Content-Length: expected at most the body, and at most {MAX_HEADER} bytes")
    return body[:length], memoryview(body)[length:]


def _parsed(header: bytes) -> _Request:
    if header.count(b"[") + header.count(b"{") > MOST_NODES or header.count(b'"') > MOST_QUOTES:
        raise _bad("body: expected one input of numbers, found too many lists, objects or strings")
    try:
        return _Request.model_validate(json.loads(header.decode("utf-8"), parse_constant=_no_constant))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:100] or "body"
        raise _bad(f"{where}: {first['msg']}") from error
    except RecursionError as error:
        raise _bad("body: nested too deeply") from error
    except ValueError as error:
        raise _bad("body: expected JSON in UTF-8") from error


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _check_shape(shape: list[int], limits: Limits) -> None:
    expected = ("T", "B", *limits.input_shape)
    if len(shape) != len(expected) or tuple(shape[2:]) != limits.input_shape or min(shape[:2]) < 1:
        raise _bad(f"shape: expected ({', '.join(map(str, expected))}), T and B at least 1, found {str(shape)[:100]}")
    if shape[0] > limits.steps or shape[1] > limits.batch:
        raise Problem(413, "too_large", f"shape: expected at most {limits.steps} steps and {limits.batch} samples")


def _values(given: _Input, raw: memoryview | None) -> Tensor:
    size = given.parameters.get("binary_data_size")
    try:
        if size is None:
            if given.data is None:
                raise _bad("inputs.0: expected data, or parameters.binary_data_size and the bytes")
            if raw is not None and len(raw):
                raise _bad("body: expected nothing behind the JSON")
            return from_json(given.data, given.datatype, given.shape)
        if given.data is not None or raw is None or type(size) is not int or size != len(raw):
            raise _bad("binary_data_size: expected the number of bytes behind the JSON, and no data in it")
        return from_bytes(raw, given.datatype, given.shape)
    except InputError as error:
        raise _bad(str(error)) from error


def _unpacked(given: _Input, raw: memoryview | None, limits: Limits, need: Callable[[int], None]) -> Tensor:
    size = given.parameters.get("binary_data_size")
    if given.data is not None or raw is None or type(size) is not int or size != len(raw):
        raise _bad("binary_data_size: expected the number of bytes behind the JSON, and no data in it")
    if given.datatype != "UINT8":
        raise _bad("packed: expected UINT8 spikes")
    unpacked = math.prod(given.shape)
    if unpacked > limits.values:
        raise Problem(413, "too_large", f"shape: expected at most {limits.values} spikes in a request")
    need(unpacked)
    try:
        return unpack(raw, given.parameters["packed"], given.shape)
    except InputError as error:
        raise _bad(str(error)) from error


def _wants_binary(request: _Request) -> bool:
    for output in request.outputs or ():
        if "binary_data" in output.parameters:
            return output.parameters["binary_data"] is True
    return request.parameters.get("binary_data_output") is True


def _bad(message: str) -> Problem:
    return Problem(400, "bad_request", message)


SMALL = 64 * 2**10
"""Bytes of a request that finds room where larger ones do not."""


class BodyReader:
    """Reads bodies of at most `most` bytes, `room` bytes of them at once: those that came, not those announced.

    One client has half of the room at most, and an eighth is kept for small requests.
    """

    def __init__(self, most: int, room: int) -> None:
        self._most, self._all = most, max(room, 4 * most)
        self._held: Counter[str] = Counter()
        self._taking = threading.Lock()

    @contextmanager
    def space(self, request: Request, client: str) -> Iterator[Callable[[int], None]]:
        """Room, in bytes, for what `request` brings and needs: it is had by the call, and given back at the end."""
        self._check_announced(request)
        held, ended = 0, False

        def take(size: int) -> None:
            nonlocal held
            with self._taking:
                if ended:  # its deadline passed while a thread still read it
                    raise busy("the deadline passed")
                kept = 0 if held + size <= SMALL else self._all // 8
                if self._held[client] + size > self._all // 2 or self._held.total() + size > self._all - kept:
                    raise busy("too many large requests at once")
                self._held[client] += size
                held += size

        try:
            yield take
        finally:
            with self._taking:
                ended = True
                self._held[client] -= held
                if not self._held[client]:
                    del self._held[client]

    def _check_announced(self, request: Request) -> None:
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem(415, "compressed", "Content-Encoding: expected none")
        length = request.headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 16):
            raise self._too_large()
        if length is not None and int(length) > self._most:
            raise self._too_large()

    def _too_large(self) -> Problem:
        return Problem(413, "too_large", f"expected a body of at most {self._most} bytes")

    async def read(self, request: Request, take: Callable[[int], None]) -> bytes:
        """The whole body. take: see `space`."""
        parts, held = [], 0
        try:
            async for part in request.stream():
                held += len(part)
                if held > self._most:
                    raise self._too_large()
                take(len(part))
                parts.append(part)
        except ClientDisconnect as error:
            raise Problem(400, "disconnected", "the body did not come to its end") from error
        return b"".join(parts)

"""The endpoint described in OpenAPI 3.1."""

from __future__ import annotations

import math
from typing import Any

from bl_neuro._version import __version__
from bl_neuro.deploy.serve.model import VERSION
from bl_neuro.deploy.serve.request import INPUT, Limits
from bl_neuro.remote.tensors import DATATYPES, PACKINGS

LARGEST_EXAMPLE = 1024
"""Values of an input that is spelled out."""
_STRING = {"type": "string", "maxLength": 256}
_COUNT = {"type": "integer", "minimum": 0}
_SHAPE = {"type": "array", "items": {"type": "integer"}}


def openapi(name: str, limits: Limits, output: str, secured: bool) -> dict[str, Any]:
    """The description of the model `name`, which takes (T, B, *input_shape) and puts out `output`."""
    ready = _object(ready={"const": True})
    paths: dict[str, Any] = {
        "/v2": {"get": _get("What the server is.", _server())},
        "/v2/health/live": {"get": _get("Whether it runs.", _object(live={"const": True}), secure=False)},
        "/v2/health/ready": {"get": _get("Whether it answers.", ready, (503,), secure=False)},
        "/openapi.json": {"get": _get("This description.", {"type": "object"})},
    }
    for model in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{VERSION}"):
        paths |= _of_model(model, name, limits, output)
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "bl-neuro query-only endpoint", "version": __version__},
        "paths": paths,
    }
    if secured:
        described["components"] = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        described["security"] = [{"token": []}]
    return described


def _of_model(model: str, name: str, limits: Limits, output: str) -> dict[str, Any]:
    ready = _object(name={"const": name}, ready={"const": True})
    return {
        model: {"get": _get("The model's input and output, and what the client may still spend.", _model(output))},
        f"{model}/ready": {"get": _get("Whether the model answers.", ready, (503,))},
        f"{model}/infer": {"post": _infer(limits, output)},
    }


def _get(what: str, schema: dict[str, Any], statuses: tuple[int, ...] = (), secure: bool = True) -> dict[str, Any]:
    refused = (403, 401, 429, *statuses) if secure else (403, *statuses)
    found: dict[str, Any] = {"summary": what, "responses": _responses(schema, refused)}
    return found if secure else {**found, "security": []}


def _server() -> dict[str, Any]:
    return _object(name=_STRING, version=_STRING, extensions={"type": "array", "items": _STRING})


def _model(output: str) -> dict[str, Any]:
    def tensors(name: str) -> dict[str, Any]:
        tensor = _object(name={"const": name}, datatype={"enum": list(DATATYPES)}, shape=_SHAPE)
        return {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1}

    said = _object(
        reveals={"const": output},
        classes=_COUNT,
        remaining={"type": ["integer", "null"], "minimum": 0},
        layout={"const": "time_first"},
        max_steps=_COUNT,
        max_batch=_COUNT,
        max_bytes=_COUNT,
    )
    versions = {"type": "array", "items": _STRING}
    shown = {"inputs": tensors(INPUT), "outputs": tensors(output), "parameters": said}
    return _object(name=_STRING, versions=versions, platform=_STRING, **shown)


def _infer(limits: Limits, output: str) -> dict[str, Any]:
    parameters = [
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 128},
         "description": "A query asked again under its key, in the same form, is charged once."},
        {"name": "Inference-Header-Content-Length", "in": "header", "schema": {"type": "integer", "minimum": 1},
         "description": "Bytes of JSON in front of binary tensors."},
    ]  # fmt: skip
    binary = {"schema": {"type": "string", "format": "binary"}}
    asked: dict[str, Any] = {"schema": _request(limits, output)}
    count = math.prod(limits.input_shape)
    if count <= LARGEST_EXAMPLE:
        given = {"name": INPUT, "datatype": "UINT8", "shape": [1, 1, *limits.input_shape], "data": [0] * count}
        asked["example"] = {"inputs": [given]}
    answers = _responses(_answer(output), (400, 401, 403, 408, 409, 413, 415, 429, 503))
    answers["200"]["content"]["application/octet-stream"] = binary
    return {
        "summary": "One query a sample; costs as many as the batch is large.",
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {"application/json": asked, "application/octet-stream": binary},
        },
        "responses": answers,
    }


def _request(limits: Limits, output: str) -> dict[str, Any]:
    sizes = [
        {"type": "integer", "minimum": 1, "maximum": limits.steps},
        {"type": "integer", "minimum": 1, "maximum": limits.batch},
        *({"const": size} for size in limits.input_shape),
    ]
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"const": INPUT},
            "datatype": {"enum": list(DATATYPES)},
            "shape": {"type": "array", "prefixItems": sizes, "minItems": len(sizes), "maxItems": len(sizes)},
            "parameters": {
                "type": "object",
                "description": "Of a tensor behind the JSON: its bytes there; and, where its spikes are bits, of which "
                f"time steps: {' or '.join(PACKINGS)} (one frame for all of them).",
                "properties": {"binary_data_size": _COUNT, "packed": {"enum": list(PACKINGS)}},
            },
            "data": {
                "type": "array",
                "description": "As many numbers as the shape says, flat or nested, in row-major order.",
                "items": {"type": ["integer", "number", "boolean", "array"]},
            },
        },
    }
    wanted = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"const": output},
            "parameters": {"type": "object", "properties": {"binary_data": {"type": "boolean"}}},
        },
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": _STRING,
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1},
            "outputs": {"type": "array", "items": wanted, "maxItems": 1},
            "parameters": {"type": "object", "properties": {"binary_data_output": {"type": "boolean"}}},
        },
    }


def _answer(output: str) -> dict[str, Any]:
    tensor = _object(name={"const": output}, datatype={"enum": list(DATATYPES)}, shape=_SHAPE)
    tensor["properties"]["data"] = {"type": "array", "items": {"type": "number"}}
    outputs = {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1}
    found = _object(model_name=_STRING, model_version=_STRING, outputs=outputs)
    found["properties"]["id"] = _STRING
    return found


def _responses(schema: dict[str, Any], refused: tuple[int, ...]) -> dict[str, Any]:
    found = {"200": {"description": "Done.", "content": {"application/json": {"schema": schema}}}}
    error = _object(error={"type": "string"}, code={"type": "string"})
    for status in refused:
        found[str(status)] = {"description": "Refused.", "content": {"application/json": {"schema": error}}}
    return found


def _object(**properties: Any) -> dict[str, Any]:
    """All of them are there."""
    return {"type": "object", "required": list(properties), "properties": properties}

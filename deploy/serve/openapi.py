"""The OpenAPI 3.1 description of the endpoint."""

from __future__ import annotations

import math
from typing import Any

from bl_neuro._version import __version__
from bl_neuro.deploy.serve.model import VERSION
from bl_neuro.deploy.serve.request import INPUT, Limits
from bl_neuro.remote.tensors import DATATYPES, PACKINGS

LARGEST_EXAMPLE = 1024
"""Largest number of input values for which the description contains an example."""
_STRING = {"type": "string", "maxLength": 256}
_COUNT = {"type": "integer", "minimum": 0}
_SHAPE = {"type": "array", "items": {"type": "integer"}}


def openapi(name: str, limits: Limits, output: str, secured: bool) -> dict[str, Any]:
    """The description of the model `name`, with input (T, B, *input_shape) and output tensor `output`."""
    ready = _object(ready={"const": True})
    paths: dict[str, Any] = {
        "/v2": {"get": _get("Name, version and protocol extensions of the server.", _server())},
        "/v2/health/live": {"get": _get("Whether the server is running.", _object(live={"const": True}), secure=False)},
        "/v2/health/ready": {"get": _get("Whether the server answers queries.", ready, (503,), secure=False)},
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
        model: {"get": _get("Input and output of the model, and the client's remaining budget.", _model(output))},
        f"{model}/ready": {"get": _get("Whether the model answers queries.", ready, (503,))},
        f"{model}/infer": {"post": _infer(limits, output)},
    }


def _get(summary: str, schema: dict[str, Any], statuses: tuple[int, ...] = (), secure: bool = True) -> dict[str, Any]:
    refused = (403, 401, 429, *statuses) if secure else (403, *statuses)
    operation: dict[str, Any] = {"summary": summary, "responses": _responses(schema, refused)}
    return operation if secure else {**operation, "security": []}


def _server() -> dict[str, Any]:
    return _object(name=_STRING, version=_STRING, extensions={"type": "array", "items": _STRING})


def _model(output: str) -> dict[str, Any]:
    def tensors(name: str) -> dict[str, Any]:
        tensor = _object(name={"const": name}, datatype={"enum": list(DATATYPES)}, shape=_SHAPE)
        return {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1}

    parameters = _object(
        reveals={"const": output},
        classes=_COUNT,
        remaining={"type": ["integer", "null"], "minimum": 0},
        layout={"const": "time_first"},
        max_steps=_COUNT,
        max_batch=_COUNT,
        max_bytes=_COUNT,
    )
    versions = {"type": "array", "items": _STRING}
    tensors_and_parameters = {"inputs": tensors(INPUT), "outputs": tensors(output), "parameters": parameters}
    return _object(name=_STRING, versions=versions, platform=_STRING, **tensors_and_parameters)


def _infer(limits: Limits, output: str) -> dict[str, Any]:
    parameters = [
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 128},
         "description": "A query repeated under the same key, in the same form, is charged once."},
        {"name": "Inference-Header-Content-Length", "in": "header", "schema": {"type": "integer", "minimum": 1},
         "description": "Number of bytes of the JSON that precedes binary tensors."},
    ]  # fmt: skip
    binary = {"schema": {"type": "string", "format": "binary"}}
    content: dict[str, Any] = {"schema": _request(limits, output)}
    count = math.prod(limits.input_shape)
    if count <= LARGEST_EXAMPLE:
        example_tensor = {"name": INPUT, "datatype": "UINT8", "shape": [1, 1, *limits.input_shape], "data": [0] * count}
        content["example"] = {"inputs": [example_tensor]}
    answers = _responses(_answer(output), (400, 401, 403, 406, 408, 409, 413, 415, 429, 503))
    answers["200"]["content"]["application/octet-stream"] = binary
    return {
        "summary": "Runs the model on a batch; the cost is one query per sample.",
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {"application/json": content, "application/octet-stream": binary},
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
                "description": "For a binary tensor after the JSON: its size in bytes and, if its spikes are packed "
                f"into bits, the packing: {' or '.join(PACKINGS)} (one frame that is repeated in every time step).",
                "properties": {"binary_data_size": _COUNT, "packed": {"enum": list(PACKINGS)}},
            },
            "data": {
                "type": "array",
                "description": "The values of the tensor, flat or nested, in row-major order.",
                "items": {"type": ["integer", "number", "boolean", "array"]},
            },
        },
    }
    requested_output = {
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
            "outputs": {"type": "array", "items": requested_output, "maxItems": 1},
            "parameters": {"type": "object", "properties": {"binary_data_output": {"type": "boolean"}}},
        },
    }


def _answer(output: str) -> dict[str, Any]:
    tensor = _object(name={"const": output}, datatype={"enum": list(DATATYPES)}, shape=_SHAPE)
    tensor["properties"]["data"] = {"type": "array", "items": {"type": "number"}}
    outputs = {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1}
    response = _object(model_name=_STRING, model_version=_STRING, outputs=outputs)
    response["properties"]["id"] = _STRING
    return response


def _responses(schema: dict[str, Any], refused: tuple[int, ...]) -> dict[str, Any]:
    responses = {"200": {"description": "Success.", "content": {"application/json": {"schema": schema}}}}
    error = _object(error={"type": "string"}, code={"type": "string"})
    for status in refused:
        responses[str(status)] = {"description": "Refused.", "content": {"application/json": {"schema": error}}}
    return responses


def _object(**properties: Any) -> dict[str, Any]:
    """An object whose properties are all required."""
    return {"type": "object", "required": list(properties), "properties": properties}

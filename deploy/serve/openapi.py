"""The endpoint described in OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from bl_neuro._version import __version__
from bl_neuro.deploy.serve.request import INPUT
from bl_neuro.remote.tensors import DATATYPES

_STRING = {"type": "string", "maxLength": 256}
_PARAMETERS = {"type": "object"}
_ERROR = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {"error": {"type": "string"}, "code": {"type": "string"}},
}
_OBJECT = {"type": "object"}


def openapi(name: str, input_shape: tuple[int, ...], output: str, secured: bool) -> dict[str, Any]:
    """The description of the model `name`, which takes (T, B, *input_shape) and puts out `output`."""
    model = f"/v2/models/{name}"
    paths = {
        "/v2": {"get": _get("What the server is.")},
        "/v2/health/live": {"get": _get("Whether it runs.", secure=False)},
        "/v2/health/ready": {"get": _get("Whether it answers.", (503,), secure=False)},
        model: {"get": _get("The model's input and output, and what the client may still spend.")},
        f"{model}/ready": {"get": _get("Whether the model answers.", (503,))},
        f"{model}/infer": {"post": _infer(input_shape, output)},
        "/openapi.json": {"get": _get("This description.", secure=False)},
    }
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "bl-neuro query-only endpoint", "version": __version__},
        "paths": paths,
    }
    if secured:
        described["components"] = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        described["security"] = [{"token": []}]
    return described


def _get(what: str, statuses: tuple[int, ...] = (), secure: bool = True) -> dict[str, Any]:
    refused = (401, 429, *statuses) if secure else statuses
    found: dict[str, Any] = {"summary": what, "responses": _responses(_OBJECT, refused)}
    return found if secure else {**found, "security": []}


def _infer(input_shape: tuple[int, ...], output: str) -> dict[str, Any]:
    parameters = [
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 128},
         "description": "A query asked again under its key is charged once."},
        {"name": "Inference-Header-Content-Length", "in": "header", "schema": {"type": "integer", "minimum": 0},
         "description": "Bytes of JSON in front of binary tensors."},
    ]  # fmt: skip
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {"application/json": {"schema": _request(input_shape, output)}, "application/octet-stream": binary}
    answers = _responses(_answer(output), (400, 401, 403, 408, 409, 413, 415, 429, 503))
    answers["200"]["content"]["application/octet-stream"] = binary
    return {
        "summary": "One query a sample; costs as many as the batch is large.",
        "parameters": parameters,
        "requestBody": {"required": True, "content": content},
        "responses": answers,
    }


def _request(input_shape: tuple[int, ...], output: str) -> dict[str, Any]:
    sizes = [{"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 1}, *({"const": n} for n in input_shape)]
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"const": INPUT},
            "datatype": {"enum": list(DATATYPES)},
            "shape": {"type": "array", "prefixItems": sizes, "minItems": len(sizes), "maxItems": len(sizes)},
            "parameters": _PARAMETERS,
            "data": {"type": "array"},
        },
    }
    wanted = {"type": "object", "required": ["name"], "properties": {"name": {"const": output}}}
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": _STRING,
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1},
            "outputs": {"type": "array", "items": wanted, "maxItems": 1},
            "parameters": _PARAMETERS,
        },
    }


def _answer(output: str) -> dict[str, Any]:
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {"name": {"const": output}, "data": {"type": "array", "items": {"type": "number"}}},
    }
    return {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {"id": _STRING, "model_name": _STRING, "outputs": {"type": "array", "items": tensor}},
    }


def _responses(schema: dict[str, Any], refused: tuple[int, ...]) -> dict[str, Any]:
    found = {"200": {"description": "Done.", "content": {"application/json": {"schema": schema}}}}
    for status in refused:
        found[str(status)] = {"description": "Refused.", "content": {"application/json": {"schema": _ERROR}}}
    return found

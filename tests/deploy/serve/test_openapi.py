"""The OpenAPI description of the endpoint matches its behaviour."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

import bl_neuro as bl
from bl_neuro.deploy.serve.openapi import LARGEST_EXAMPLE, openapi
from bl_neuro.deploy.serve.request import InferenceRequest, InputTensor, Limits, RequestedOutput
from bl_neuro.testing.reference_target import easy_network

pytestmark = pytest.mark.slow

TOKEN = "a-token-long-enough-to-be-one"
INFER = "/v2/models/model/infer"


@pytest.fixture(scope="module")
def server(launch: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("served")
    bl.save(easy_network(), folder / "model.safetensors")
    made = launch(folder / "model.safetensors", "--log", str(folder / "log"), "--token", f"me:{TOKEN}")
    yield made
    made.end()


@pytest.fixture(scope="module")
def document(server: Any) -> Any:
    return json.loads(ask(server, "GET", "/openapi.json", Authorization=f"Bearer {TOKEN}")[2])


def ask(server: Any, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, bytes]:
    client = http.client.HTTPConnection(server.root.removeprefix("http://"), timeout=30)
    client.request(method, path, None if body is None else json.dumps(body), headers)
    response = client.getresponse()
    content = response.read()
    client.close()
    return response.status, str(response.getheader("Content-Type")), content


def check(document: Any, method: str, path: str, answered: tuple[int, str, bytes]) -> Any:
    """The answer, after validation against the schema."""
    status, kind, content = answered
    schema = document["paths"][path][method.lower()]["responses"][str(status)]["content"][kind]["schema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    answer = json.loads(content)
    jsonschema.validate(answer, schema, jsonschema.Draft202012Validator)
    return answer


def test_every_answer_matches_the_schema(document: Any, server: Any) -> None:
    for path, operations in document["paths"].items():
        if "get" in operations:
            assert ask(server, "GET", path, Authorization=f"Bearer {TOKEN}")[0] == 200
            check(document, "GET", path, ask(server, "GET", path, Authorization=f"Bearer {TOKEN}"))
            secret = operations["get"].get("security") != []
            assert (ask(server, "GET", path)[0] == 401) == secret
            check(document, "GET", path, ask(server, "GET", path))


def test_its_example_is_answered(document: Any, server: Any) -> None:
    content = document["paths"][INFER]["post"]["requestBody"]["content"]["application/json"]
    jsonschema.validate(content["example"], content["schema"], jsonschema.Draft202012Validator)
    answered = ask(server, "POST", INFER, content["example"], Authorization=f"Bearer {TOKEN}")
    assert answered[0] == 200
    assert check(document, "POST", INFER, answered)["outputs"][0]["shape"] == [1, 3]
    assert ask(server, "POST", INFER, content["example"])[0] == 401
    for wrong, status in (({}, 400), ({"inputs": [{**content["example"]["inputs"][0], "shape": [1025, 1, 12]}]}, 413)):
        assert list(jsonschema.Draft202012Validator(content["schema"]).iter_errors(wrong))
        answered = ask(server, "POST", INFER, wrong, Authorization=f"Bearer {TOKEN}")
        assert answered[0] == status
        check(document, "POST", INFER, answered)


@pytest.mark.slow
def test_the_example_of_a_large_input_is_short() -> None:
    for size in (LARGEST_EXAMPLE, LARGEST_EXAMPLE + 1):
        made = openapi("m", Limits((size,), 8, 4, 1000, 1000), "label", secured=False)
        content = made["paths"]["/v2/models/m/infer"]["post"]["requestBody"]["content"]["application/json"]
        assert ("example" in content) == (size == LARGEST_EXAMPLE)
        assert "security" not in made


def test_the_described_request_has_the_fields_of_the_one_that_is_read() -> None:
    """The description narrows what pydantic reads (names, sizes), so it is written by hand; its fields must agree."""
    described = openapi("m", Limits((4,), 8, 4, 1000, 1000), "label", secured=False)
    request = described["paths"]["/v2/models/m/infer"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    tensor, output = (request["properties"][name]["items"] for name in ("inputs", "outputs"))
    for schema, model in ((request, InferenceRequest), (tensor, InputTensor), (output, RequestedOutput)):
        assert set(schema["properties"]) == set(model.model_fields)
        assert set(schema["required"]) == {name for name, field in model.model_fields.items() if field.is_required()}

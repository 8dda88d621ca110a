"""The OpenAPI document says what the gateway does."""

import json
from typing import Any

import jsonschema_rs
import pytest

from openkontext.contract import ASPECT_RATIOS, CODES, DEFAULTS, PARAMETERS, InvalidParameters, parse
from openkontext.gateway.openapi import edit_schema
from tests.gateway.harness import EDIT, RUN, SUBMIT

BODIES = [
    {},
    *({name: value} for name, value in DEFAULTS.items()),
    *({"aspect_ratio": ratio} for ratio in ASPECT_RATIOS),
    *({"aspect_ratio": value} for value in ("7:5", "", 1, None)),
    *({"guidance": value} for value in (0, 10, 3.5, -0.1, 10.1, "7", True, None, [7])),
    *({"num_inference_steps": value} for value in (4, 50, 3, 51, 4.5, "8", True, None)),
    *({"seed": value} for value in (0, 2**63 - 1, None, "", -1, -2, 2**63, False, True, "x", "7", 1.5, [])),
    *({"output_format": value} for value in ("png", "jpg", "webp", "gif", "PNG ", "jpeg", None)),
    *({"output_quality": value} for value in (0, 100, -1, 101, "90", 50.5)),
    *({"disable_safety_checker": value} for value in (True, False, "no", 1, 0, None)),
    *({"prompt": value} for value in ("x", "a" * 10_000, "a" * 10_001, "", "  ", "\n\t", None, 5, ["x"], " x ", "雪")),
    *({"input_image": value} for value in ("https://example.com/a.png", "", " ", None, 5, ["x"])),
    *({name: 1} for name in ("promt", "num_outputs", "mode", "loras", "webhook")),
]


def parses(fields: dict[str, Any]) -> bool:
    try:
        parse(fields)
    except InvalidParameters:
        return False
    return True


def test_the_schema_is_the_contract():
    """The schema of an edit takes what the contract takes, and refuses what it refuses."""
    validator = jsonschema_rs.validator_for(edit_schema())
    bodies = [EDIT | changes for changes in BODIES]
    bodies += [{name: value for name, value in EDIT.items() if name != missing} for missing in EDIT]
    expected = {json.dumps(body): parses(body) for body in bodies}
    assert expected == {json.dumps(body): validator.is_valid(body) for body in bodies}
    assert set(expected.values()) == {True, False}


@pytest.fixture
async def document(gateway) -> dict[str, Any]:
    return (await gateway.http.get("/openapi.json")).json()


def nodes(value: Any) -> list[dict[str, Any]]:
    """Every object of the document."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if isinstance(value, dict) else []) + [node for each in inner for node in nodes(each)]


async def test_the_document_is_whole(document):
    """Every reference leads somewhere, and every schema is one."""
    schemas = document["components"]["schemas"]
    references = {node["$ref"] for node in nodes(document) if "$ref" in node}
    assert references == {f"#/components/schemas/{name}" for name in schemas}
    for schema in [*schemas.values(), *(node["schema"] for node in nodes(document) if "schema" in node)]:
        jsonschema_rs.meta.validate(schema)
    assert "HTTPValidationError" not in json.dumps(document)


async def test_every_operation_names_the_key(document):
    """All but the health routes and the models' ask for the key, by a scheme that the document has."""
    open_to_all = {
        (method, path)
        for path, operations in document["paths"].items()
        for method, each in operations.items()
        if "security" not in each
    }
    expected = {"/healthz", "/readyz", "/v1/models", "/v1/models/{slug}", "/v2/{slug}"}
    assert open_to_all == {("get", path) for path in expected}
    assert document["components"]["securitySchemes"] == {
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    bearers = {path for path, operations in document["paths"].items() if "bearer" in json.dumps(operations)}
    assert bearers == {"/v1/images/edits"}


async def test_parameters_are_described(document):
    """Both submits have all parameters with help and default, as JSON and as a form."""
    for path in ("/v1/{slug}", "/v2/{slug}"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        assert set(content) == {"application/json", "multipart/form-data"}
        for kind in content.values():
            properties = kind["schema"]["properties"]
            assert list(properties) == [parameter.name for parameter in PARAMETERS]
            assert {name: properties[name]["default"] for name in DEFAULTS} == DEFAULTS
        assert all(each["description"] for each in content["application/json"]["schema"]["properties"].values())


async def test_every_code_is_documented(document):
    """Each error code is described where it can come."""
    texts = json.dumps(document["paths"])
    undocumented = {code for code in CODES if f"`{code}`" not in texts}
    # A wrong method is of no operation.
    assert undocumented == {"method_not_allowed"}


async def test_bodies_are_as_described(gateway, document):
    """What the gateway answers in each state holds the schema that the document gives for it."""

    def check(path: str, method: str, response: Any) -> None:
        described = document["paths"][path][method]["responses"][str(response.status_code)]
        schema = described["content"]["application/json"]["schema"]
        jsonschema_rs.validate(schema | {"components": document["components"]}, response.json())

    polls = ("/v2/requests/{request_id}", "/v1/requests/{request_id}", "/v2/requests/{request_id}/status")

    async def check_polls(request_id: str) -> None:
        for path in polls:
            check(path, "get", await gateway.http.get(path.format(request_id=request_id)))

    for ending in (gateway.worker.complete, gateway.worker.fail):
        response = await gateway.http.post(SUBMIT, json=EDIT)
        check("/v2/{slug}", "post", response)
        await check_polls(response.json()["request_id"])
        ending()
        await check_polls(response.json()["request_id"])
    check("/v1/get-user-credits", "get", await gateway.http.get("/v1/get-user-credits"))
    check("/v2/requests", "get", await gateway.http.get("/v2/requests"))
    check("/v1/models", "get", await gateway.http.get("/v1/models"))
    check("/v2/{slug}", "get", await gateway.http.get(SUBMIT))
    check("/v2/{slug}/estimate", "post", await gateway.http.post(f"{SUBMIT}/estimate", json=EDIT))
    check("/v1/{slug}", "post", await gateway.http.post(RUN, json={}))
    completed = (await gateway.completed())["request_id"]
    for method in ("post", "delete"):
        pin = await gateway.http.request(method, f"/v2/requests/{completed}/pin")
        check("/v2/requests/{request_id}/pin", method, pin)
    request_id = (await gateway.submit())["request_id"]
    check("/v2/requests/{request_id}", "delete", await gateway.http.delete(f"/v2/requests/{request_id}"))

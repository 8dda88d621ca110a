"""The OpenAPI document as the reference page tells it."""

import json
import shlex
from typing import Any

from openkontext.contract import CODES
from openkontext.web.reference import Operation, Reference

BASE = "http://127.0.0.1:8000"
ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
FIELDS = {"prompt": {"type": "string"}, "picture": {"type": "string", "format": "uri"}}
EDIT = {"type": "object", "required": ["prompt", "picture"], "properties": FIELDS}
FORM = EDIT | {"properties": FIELDS | {"picture": {"type": "string", "format": "binary"}}}


def operation(*tags: str, content: dict[str, Any] | None = None, **told: Any) -> dict[str, Any]:
    """What a document says of an operation that anybody may call."""
    kinds = {kind: {"schema": schema} for kind, schema in (content or {}).items()}
    body = {"requestBody": {"content": kinds}} if kinds else {}
    return {"tags": list(tags), "summary": "Do It", "responses": {}} | body | told


def body_of(**content: Any) -> dict[str, Any]:
    """A body as JSON, and as a form if given."""
    kinds = {"json": "application/json", "form": "multipart/form-data"}
    return {kinds[name]: schema for name, schema in content.items()}


def reference(paths: dict[str, Any], schemas: dict[str, Any] | None = None) -> Reference:
    return Reference({"paths": paths, "components": {"schemas": schemas or {}}}, BASE)


def only(paths: dict[str, Any]) -> tuple[Reference, Operation]:
    """A reference of one operation, and that."""
    made = reference(paths)
    return made, made.groups[0].operations[0]


def words_of(call: str) -> list[str]:
    """The words of a call, as a shell tells them apart; shlex doesn't know of lines that go on."""
    return shlex.split(call.replace("\\\n", " "))


def test_groups_and_operations_have_a_readers_order():
    """Tags as the page has them, then unknown ones; the model's own routes first; methods as one would use them."""
    paths = {
        "/new": {"get": operation("novelty")},
        "/healthz": {"get": operation("health")},
        "/v2/requests": {"get": operation("v2")},
        "/v2/requests/{id}": {"delete": operation("v2"), "get": operation("v2")},
        "/v2/{slug}": {"post": operation("v2")},
    }
    expected = {
        "v2": ["post-v2-slug", "get-v2-requests", "get-v2-requests-id", "delete-v2-requests-id"],
        "health": ["get-healthz"],
        "novelty": ["get-new"],
    }
    groups = reference(paths).groups
    assert expected == {group.tag: [each.id for each in group.operations] for group in groups}
    assert list(expected) == [group.tag for group in groups]


def test_a_body_that_two_name_is_shared():
    """What is referred to once is told in its place, what is referred to more often in one of its own."""
    once, twice = ({"$ref": f"#/components/schemas/{name}"} for name in ("Once", "Twice"))
    schemas = {"Once": {"properties": {"a": twice, "b": twice}}, "Twice": {}, "Root": once}
    assert ["Twice"] == list(reference({}, schemas).shared)


def test_errors_are_codes_by_status_and_a_failed_request_is_an_answer():
    """Refusals have the codes of their status; that a request FAILED is no refusal; `default` goes unsaid."""
    failed = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failed"}}}}
    told = {"200": {}, "422": failed, "401": ERROR, "default": ERROR}
    responses = {status: {"description": "words"} | response for status, response in told.items()}
    _, it = only({"/v2/{slug}": {"get": operation("v2", responses=responses)}})
    assert {"401": ["missing_key", "invalid_key"]} == it.failures
    assert ["200", "422"] == [answer.status for answer in it.answers]
    assert it.failure is None
    assert all(code in CODES for codes in it.failures.values() for code in codes)


def test_a_body_is_told_once():
    """A form is told by what differs from the JSON; the same body of another operation by that operation."""
    bodies = body_of(json=EDIT, form=FORM)
    made = reference({"/a": {"post": operation("v2", content=bodies)}, "/b": {"post": operation("v2", content=bodies)}})
    first, second = made.groups[0].operations
    told = [[(body.same, body.changed) for body in made.bodies(each)] for each in (first, second)]
    form = {"picture": FORM["properties"]["picture"]}
    assert [[(None, None), (None, form)], [(first, None), (None, form)]] == told


def test_a_call_with_a_picture_is_a_form():
    """Where a picture may be sent as a file, the example does that."""
    made, it = only({"/v2/{slug}": {"post": operation("v2", content=body_of(json=EDIT, form=FORM))}})
    words = words_of(made.curl(it))
    assert ["curl", f"{BASE}/v2/flux-kontext-dev"] == words[:2]
    assert ["-F", "picture=@picture.png"] == words[-2:]
    assert words[-3].startswith("prompt=")


def test_a_call_with_json():
    """Required fields, each with a value that it could have; a shell gives the JSON on as it is."""
    fields = {"url": {"type": "string"}, "kind": {"enum": ["it's"]}, "more": {"type": "integer"}}
    schema = {"type": "object", "required": ["url", "kind"], "properties": fields}
    told = operation("webhooks", content=body_of(json=schema), security=[{"key": []}])
    made, it = only({"/hooks/{hook_id}": {"put": told}})
    words = words_of(made.curl(it))
    assert ["curl", "-X", "PUT", f"{BASE}/hooks/$hook_id", "-H", "x-api-key: $KEY"] == words[:6]
    assert {"url": "https://example.com/url", "kind": "it's"} == json.loads(words[-1])


def test_a_call_that_sends_nothing():
    """A GET needs no more than its address, a stream isn't held back, a picture goes into a file."""
    kinds = {"image/png": {}, "text/event-stream": {}}
    told = operation("v2", responses={"200": {"description": "It", "content": kinds}}, security=[{"bearer": []}])
    made, it = only({"/v1/it": {"get": told}})
    expected = ["curl", "-N", "-o", "edited.png", f"{BASE}/v1/it", "-H", "authorization: Bearer $KEY"]
    assert expected == words_of(made.curl(it))

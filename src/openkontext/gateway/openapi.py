"""The OpenAPI document: parameters and errors made from the contract, the wire's bodies written out."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from openkontext.contract import CODES, PARAMETERS, Parameter
from openkontext.media.images import CONTENT_TYPES

from .schemas import SCHEMAS, TEXT, URL, Schema

Responses = dict[int | str, dict[str, Any]]


def json_schema(parameter: Parameter) -> Schema:
    """A parameter as JSON Schema."""
    schema: Schema = {"type": parameter.type, "description": parameter.help}
    if not parameter.required:
        schema["default"] = parameter.default
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.minimum is not None:
        schema |= {"minimum": parameter.minimum, "maximum": parameter.maximum}
    if parameter.type == "string" and not parameter.choices:
        # Not blank.
        schema |= {"pattern": r"\S"} | ({"maxLength": parameter.max_length} if parameter.max_length else {})
    if parameter.blanks:
        described = {name: schema.pop(name) for name in ("description", "default")}
        schema = {"anyOf": [schema, {"enum": list(parameter.blanks)}]} | described
    return schema


def edit_schema() -> Schema:
    """The body of an edit as JSON Schema."""
    return {
        "type": "object",
        "required": [parameter.name for parameter in PARAMETERS if parameter.required],
        "properties": {parameter.name: json_schema(parameter) for parameter in PARAMETERS},
        "additionalProperties": False,
    }


def form_schema() -> Schema:
    """The same as a form, where the picture may be a file."""
    schema = edit_schema()
    schema["properties"]["input_image"] = {"type": "string", "format": "binary"}
    return schema


def answers(description: str, *names: str) -> dict[str, Any]:
    """A response with one of the JSON bodies of `SCHEMAS`."""
    references = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def errors(*statuses: int) -> Responses:
    """The responses of these error statuses, with the codes that each can have, and of any other error."""
    meanings: dict[int, list[str]] = {status: [] for status in statuses}
    for code, (status, meaning) in CODES.items():
        meanings.get(status, []).append(f"`{code}`: {meaning}")
    documented: Responses = {status: answers("; ".join(lines), "Error") for status, lines in meanings.items()}
    return documented | {"default": answers("Any other error", "Error")}


IMAGE: dict[str, Any] = {
    "description": "The edited picture",
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in CONTENT_TYPES.values()},
}
FAILED: Responses = {422: answers("The request FAILED; nothing was charged", "Failed")}
SUBMIT_ERRORS = errors(400, 401, 403, 404, 406, 408, 409, 410, 413, 429, 431, 500, 503)
POLL_ERRORS = errors(401, 404, 429, 500, 503)
KEY: dict[str, Any] = {"security": [{"key": []}]}
ESTIMATE: dict[str, Any] = KEY | {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": edit_schema()},
            "multipart/form-data": {"schema": form_schema()},
        },
    },
}
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and request within 24 hours answers the first accepted one again, charged once.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
WEBHOOK: Schema = {
    "name": "webhook",
    "in": "query",
    "description": "Where to post the result when the request has ended.",
    "schema": URL,
}
EDIT: dict[str, Any] = ESTIMATE | {"parameters": [IDEMPOTENCY_KEY]}


def _filter(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


HISTORY_QUERY: list[Schema] = [
    _filter("page", "From 1.", {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1}),
    _filter("per_page", "Entries of a page.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
    _filter("status", "One or more states, joined by commas.", TEXT),
    _filter("code", "One or more error codes, joined by commas.", TEXT),
    _filter("parent", "Made from the output of this request.", TEXT),
    _filter("q", "Words of the prompt, in any order and case.", {"type": "string", "maxLength": 200}),
    _filter("from", "The first day or time, ISO 8601, UTC.", TEXT),
    _filter("to", "The last day, or the time before which, ISO 8601, UTC.", TEXT),
]


def describe(app: FastAPI) -> Schema:
    """The document of ``app``, with our schemas in place of FastAPI's own."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    return document | {"components": {"schemas": SCHEMAS, "securitySchemes": schemes}}

"""The OpenAPI document: parameters and errors made from the contract, the wire's bodies written out."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from openkontext.contract import CODES, PARAMETERS, Parameter, State
from openkontext.media.images import CONTENT_TYPES

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

_TEXT: Schema = {"type": "string"}
_URL: Schema = {"type": "string", "format": "uri"}
_NUMBER: Schema = {"type": "number"}
_TIME: Schema = {"type": "string", "format": "date-time"}


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _state(*states: State) -> Schema:
    return {"type": "string", "enum": [state.value for state in states]}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_SECONDS = dict.fromkeys(("inference_time", "queue_time", "total_time"), _NUMBER)
_CHARGES = {"cost": _NUMBER, "remaining_credits": _NUMBER}
_IMAGE = _object({"url": _URL, "content_type": _TEXT, "file_name": _TEXT, "file_size": _TEXT})

_MODERATION = _object(
    {
        "stage": {"type": "string", "enum": ["prompt", "input", "output"]},
        "category": _TEXT,
        "score": _NUMBER,
        "threshold": _NUMBER,
    }
)

SCHEMAS: dict[str, Schema] = {
    "Error": _object(
        {"error": _TEXT, "code": {"type": "string", "enum": sorted(CODES)}},
        request_id=_TEXT,
        moderation=_MODERATION,
    ),
    "Credits": _object({"credits": _NUMBER, "free-credits": _NUMBER}),
    "Submitted": _object(
        {
            "request_id": _TEXT,
            "status": _state(State.QUEUED),
            "poll_url": _URL,
            "status_url": _URL,
            "response_url": _URL,
        }
    ),
    "Status": _object(
        {
            "status": _state(State.QUEUED, State.PROCESSING, State.COMPLETED),
            "request_id": _TEXT,
            "metrics": _object({}, inference_time=_NUMBER),
        },
        status_url=_URL,
        response_url=_URL,
    ),
    "Result": _object(
        {
            "status": _state(State.COMPLETED),
            "request_id": _TEXT,
            "output": _URL,
            "images": {"type": "array", "items": _IMAGE},
            "seed": _TEXT,
            "prompt": _TEXT,
            "metrics": _object(_SECONDS | _CHARGES, retry_count={"type": "integer"}),
        },
        warnings={"type": "array", "items": _TEXT},
        parent_request_id=_TEXT,
    ),
    "Failed": _object(
        {
            "status": _state(State.FAILED),
            "request_id": _TEXT,
            "error": _TEXT,
            "code": {"type": "string", "enum": sorted(CODES)},
            "metrics": _object(_SECONDS),
        },
        moderation=_MODERATION,
    ),
    "Cancelled": _object({"request_id": _TEXT, "status": _state(State.QUEUED, State.PROCESSING, State.FAILED)}),
    "Estimate": _object(
        {
            "cost": _NUMBER,
            "width": _or_null({"type": "integer"}),
            "height": _or_null({"type": "integer"}),
            "queue_seconds": _or_null(_NUMBER),
            "run_seconds": _or_null(_NUMBER),
        }
    ),
    "History": _object(
        {
            "requests": {"type": "array", "items": {"$ref": "#/components/schemas/HistoryEntry"}},
            "page": {"type": "integer"},
            "per_page": {"type": "integer"},
            "total": {"type": "integer"},
        }
    ),
    "HistoryEntry": _object(
        {
            "request_id": _TEXT,
            "status": _state(*State),
            "created_at": _TIME,
            "ended_at": _or_null(_TIME),
            "cost": _NUMBER,
            "parameters": {"type": "object"},
            "pinned": {"type": "boolean"},
        },
        output=_URL,
        parent_request_id=_TEXT,
        error=_TEXT,
        moderation=_MODERATION,
        code=_TEXT,
    ),
    "Model": _object(
        {
            "id": _TEXT,
            "object": {"const": "model"},
            "created": {"type": "integer"},
            "owned_by": _TEXT,
            "price": _NUMBER,
            "parameters": {"type": "array", "items": _object({"name": _TEXT, "type": _TEXT, "help": _TEXT})},
            "states": {"type": "array", "items": _object({"state": _state(*State), "phrase": _TEXT})},
            "errors": {"type": "array", "items": _object({"code": _TEXT, "status": {"type": "integer"}})},
            "example": {"type": "object"},
        }
    ),
    "Webhook": _object(
        {"id": _TEXT, "url": _URL, "types": {"type": "array", "items": _TEXT}, "created_at": _TIME}, secret=_TEXT
    ),
    "Webhooks": _object({"webhooks": {"type": "array", "items": {"$ref": "#/components/schemas/Webhook"}}}),
    "Secret": _object({"secret": _TEXT}),
    "Delivery": _object(
        {
            "id": _TEXT,
            "webhook_id": _or_null(_TEXT),
            "event_id": {"type": "integer"},
            "request_id": _TEXT,
            "type": _TEXT,
            "url": _URL,
            "state": {"type": "string", "enum": ["pending", "delivered", "failed"]},
            "attempts": {"type": "integer"},
            "created_at": _TIME,
            "last_at": _or_null(_TIME),
            "last_status": _or_null({"type": "integer"}),
            "last_error": _or_null(_TEXT),
            "next_at": _or_null(_TIME),
        }
    ),
    "Deliveries": _object(
        {
            "deliveries": {"type": "array", "items": {"$ref": "#/components/schemas/Delivery"}},
            "page": {"type": "integer"},
            "per_page": {"type": "integer"},
            "total": {"type": "integer"},
        }
    ),
    "Models": _object(
        {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
        }
    ),
    "Health": _object({"status": _TEXT}),
}


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
    "schema": _URL,
}
EDIT: dict[str, Any] = ESTIMATE | {"parameters": [IDEMPOTENCY_KEY]}


def _filter(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


HISTORY_QUERY: list[Schema] = [
    _filter("page", "From 1.", {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1}),
    _filter("per_page", "Entries of a page.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
    _filter("status", "One or more states, joined by commas.", _TEXT),
    _filter("from", "The first day or time, ISO 8601, UTC.", _TEXT),
    _filter("to", "The last day, or the time before which, ISO 8601, UTC.", _TEXT),
]


def describe(app: FastAPI) -> Schema:
    """The document of ``app``, with our schemas in place of FastAPI's own."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    return document | {"components": {"schemas": SCHEMAS, "securitySchemes": schemes}}

"""The JSON bodies of the gateway as JSON Schema, by the names they have in the OpenAPI document."""

from typing import Any, get_args

from openkontext.contract import CODES, State
from openkontext.store import WorkerState

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
URL: Schema = {"type": "string", "format": "uri"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _refer(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _page(name: str, items: Schema) -> Schema:
    return _object({name: _list(items), "page": INTEGER, "per_page": INTEGER, "total": INTEGER})


def _state(*states: State) -> Schema:
    return {"type": "string", "enum": [state.value for state in states]}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_SECONDS = dict.fromkeys(("inference_time", "queue_time", "total_time"), NUMBER)
_CHARGES = {"cost": NUMBER, "remaining_credits": NUMBER}
_LATENCY = {"checkpoint": TEXT} | dict.fromkeys(("width", "height", "samples"), INTEGER)
_LATENCY |= dict.fromkeys(("step_seconds", "other_seconds"), NUMBER)
_IMAGE = _object({"url": URL, "content_type": TEXT, "file_name": TEXT, "file_size": TEXT})

_MODERATION = _object(
    {
        "stage": {"type": "string", "enum": ["prompt", "input", "output"]},
        "category": TEXT,
        "score": NUMBER,
        "threshold": NUMBER,
    }
)

_DAY: Schema = {"type": "string", "format": "date"}
_USAGE = {
    **dict.fromkeys(("requests", "completed", "failed"), INTEGER),
    "cost": NUMBER,
    "gpu_seconds": NUMBER,
    "failures": {"type": "object", "additionalProperties": INTEGER},
}

_KEY = {
    "id": INTEGER,
    "hint": TEXT,
    "label": TEXT,
    **dict.fromkeys(("rpm", "max_running", "max_queued"), _or_null(INTEGER)),
    "retention": _or_null(NUMBER),
    **dict.fromkeys(("may_edit", "may_read_history", "may_disable_safety", "may_manage", "may_operate"), BOOLEAN),
    "created_at": TIME,
    "expires_at": _or_null(TIME),
    "revoked_at": _or_null(TIME),
}

_PERCENTILES = _object(dict.fromkeys(("p50", "p90", "p99"), _or_null(NUMBER)) | {"samples": INTEGER})
_HELD = _object({"request_id": TEXT, "step": INTEGER, "steps": INTEGER, "started_at": TIME})
_WORKER: dict[str, Schema] = {
    "id": TEXT,
    "host": _or_null(TEXT),
    "pid": _or_null(INTEGER),
    "device": _or_null(TEXT),
    "checkpoint": _or_null(TEXT),
    "state": {"type": "string", "enum": list(get_args(WorkerState))},
    "message": _or_null(TEXT),
    "drain": BOOLEAN,
    "job": _or_null(_HELD),
    "seen_at": TIME,
    "started_at": TIME,
    "alive": BOOLEAN,
}
_HOUR: dict[str, Schema] = {"at": TIME, "completed": INTEGER, "failed": INTEGER}
_HOUR |= dict.fromkeys(("wait_p50", "run_p50"), _or_null(NUMBER))

SCHEMAS: dict[str, Schema] = {
    "Error": _object(
        {"error": TEXT, "code": {"type": "string", "enum": sorted(CODES)}},
        request_id=TEXT,
        moderation=_MODERATION,
    ),
    "Credits": _object({"credits": NUMBER, "free-credits": NUMBER}),
    "Submitted": _object(
        {
            "request_id": TEXT,
            "status": _state(State.QUEUED),
            "poll_url": URL,
            "status_url": URL,
            "response_url": URL,
        }
    ),
    "Status": _object(
        {
            "status": _state(State.QUEUED, State.PROCESSING, State.COMPLETED),
            "request_id": TEXT,
            "metrics": _object({}, inference_time=NUMBER),
        },
        status_url=URL,
        response_url=URL,
    ),
    "Result": _object(
        {
            "status": _state(State.COMPLETED),
            "request_id": TEXT,
            "output": URL,
            "images": _list(_IMAGE),
            "seed": TEXT,
            "prompt": TEXT,
            "metrics": _object(_SECONDS | _CHARGES, retry_count=INTEGER),
        },
        warnings=_list(TEXT),
        parent_request_id=TEXT,
        input=URL,
    ),
    "Failed": _object(
        {
            "status": _state(State.FAILED),
            "request_id": TEXT,
            "error": TEXT,
            "code": {"type": "string", "enum": sorted(CODES)},
            "metrics": _object(_SECONDS),
        },
        moderation=_MODERATION,
    ),
    "Cancelled": _object({"request_id": TEXT, "status": _state(State.QUEUED, State.PROCESSING, State.FAILED)}),
    "Estimate": _object(
        {
            "cost": NUMBER,
            "width": _or_null(INTEGER),
            "height": _or_null(INTEGER),
            "queue_seconds": _or_null(NUMBER),
            "run_seconds": _or_null(NUMBER),
        }
    ),
    "History": _page("requests", _refer("HistoryEntry")),
    "HistoryEntry": _object(
        {
            "request_id": TEXT,
            "status": _state(*State),
            "created_at": TIME,
            "started_at": _or_null(TIME),
            "ended_at": _or_null(TIME),
            "cost": NUMBER,
            "parameters": {"type": "object"},
            "seed": TEXT,
            "pinned": BOOLEAN,
            "key_hint": TEXT,
        },
        input=URL,
        output=URL,
        metrics=_object(_SECONDS, **_CHARGES, retry_count=INTEGER),
        parent_request_id=TEXT,
        error=TEXT,
        moderation=_MODERATION,
        code=TEXT,
    ),
    "Account": _object(
        {
            "account": TEXT,
            "created_at": TIME,
            "credits": NUMBER,
            "held": NUMBER,
            "key": _refer("Key"),
            "session": BOOLEAN,
        },
        spent_today=NUMBER,
    ),
    "Ledger": _page("entries", _refer("LedgerEntry")),
    "LedgerEntry": _object(
        {
            "id": INTEGER,
            "kind": {"type": "string", "enum": ["grant", "hold", "take", "release"]},
            "amount": NUMBER,
            "balance": NUMBER,
            "request_id": _or_null(TEXT),
            "created_at": TIME,
        }
    ),
    "Usage": _object(
        {
            "from": _DAY,
            "to": _DAY,
            "days": _list(_object({"day": _DAY} | _USAGE)),
            "totals": _object(_USAGE),
        }
    ),
    "Key": _object(_KEY),
    "NewKey": _object(_KEY | {"key": TEXT}),
    "Keys": _page("keys", _refer("Key")),
    "Model": _object(
        {
            "id": TEXT,
            "object": {"const": "model"},
            "created": INTEGER,
            "owned_by": TEXT,
            "price": NUMBER,
            "parameters": _list(_object({"name": TEXT, "type": TEXT, "help": TEXT})),
            "states": _list(_object({"state": _state(*State), "phrase": TEXT})),
            "errors": _list(_object({"code": TEXT, "status": INTEGER})),
            "example": {"type": "object"},
            "latency": _list(_object(_LATENCY)),
        }
    ),
    "Webhook": _object({"id": TEXT, "url": URL, "types": _list(TEXT), "created_at": TIME}, secret=TEXT),
    "Webhooks": _object({"webhooks": _list(_refer("Webhook"))}),
    "Secret": _object({"secret": TEXT}),
    "Delivery": _object(
        {
            "id": TEXT,
            "webhook_id": _or_null(TEXT),
            "event_id": INTEGER,
            "request_id": TEXT,
            "type": TEXT,
            "url": URL,
            "state": {"type": "string", "enum": ["pending", "delivered", "failed"]},
            "attempts": INTEGER,
            "created_at": TIME,
            "last_at": _or_null(TIME),
            "last_status": _or_null(INTEGER),
            "last_error": _or_null(TEXT),
            "next_at": _or_null(TIME),
        }
    ),
    "Deliveries": _page("deliveries", _refer("Delivery")),
    "Models": _object({"object": {"const": "list"}, "data": _list(_refer("Model"))}),
    "Operator": _object(
        {
            "workers": _list(_refer("Worker")),
            "queue": _object(
                {"queued": INTEGER, "running": INTEGER, "limit": INTEGER, "oldest_seconds": _or_null(NUMBER)}
            ),
            "times": _object({"hours": INTEGER, "wait": _PERCENTILES, "run": _PERCENTILES}),
            "series": _list(_object(_HOUR)),
            "failures": _list(_object({"code": TEXT, "count": INTEGER})),
            "recent_failures": _list(
                _object({"request_id": TEXT, "account": TEXT, "code": TEXT, "error": TEXT, "ended_at": TIME})
            ),
            "draining": BOOLEAN,
            "version": TEXT,
        }
    ),
    "Worker": _object(_WORKER),
    "Workers": _object({"workers": _list(_refer("Worker"))}),
    "Health": _object({"status": TEXT}),
}

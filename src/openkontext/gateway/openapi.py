"""OpenAPI pieces made from the contract."""

from typing import Any

from openkontext.contract import CODES, PARAMETERS, Parameter

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "code": {"type": "string"}, "request_id": {"type": "string"}},
}


def json_schema(parameter: Parameter) -> dict[str, Any]:
    """A parameter as JSON Schema."""
    schema: dict[str, Any] = {"type": parameter.type, "description": parameter.help}
    if not parameter.required:
        schema["default"] = parameter.default
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.minimum is not None:
        schema |= {"minimum": parameter.minimum, "maximum": parameter.maximum}
    if parameter.type == "string" and not parameter.choices:
        schema |= {"minLength": 1} | ({"maxLength": parameter.max_length} if parameter.max_length else {})
    if parameter.blanks:
        described = {name: schema.pop(name) for name in ("description", "default")}
        schema = {"anyOf": [schema, {"enum": list(parameter.blanks)}]} | described
    return schema


def edit_schema() -> dict[str, Any]:
    """The body of an edit as JSON Schema."""
    return {
        "type": "object",
        "required": [parameter.name for parameter in PARAMETERS if parameter.required],
        "properties": {parameter.name: json_schema(parameter) for parameter in PARAMETERS},
        "additionalProperties": False,
    }


def error_responses() -> dict[str, Any]:
    """Every error status with its codes."""
    by_status: dict[int, list[str]] = {}
    for code, (status, meaning) in CODES.items():
        by_status.setdefault(status, []).append(f"`{code}`: {meaning}")
    content = {"application/json": {"schema": _ERROR}}
    return {str(status): {"description": "; ".join(lines), "content": content} for status, lines in by_status.items()}


EDIT: dict[str, Any] = {
    "security": [{"key": []}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": edit_schema()},
            "multipart/form-data": {
                "schema": edit_schema()
                | {"properties": edit_schema()["properties"] | {"input_image": {"type": "string", "format": "binary"}}}
            },
        },
    },
    "responses": error_responses(),
}

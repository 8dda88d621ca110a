"""The OpenAPI document as the reference page tells it: operations in a reader's order, bodies, and how to call them.

What a schema looks like is the template's business (templates/_schema.html); here is what needs the whole document.
"""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from openkontext.contract import CODES, EXAMPLE_PROMPT, SLUG

Schema = Mapping[str, Any]

# Tags in the order of the page, with a title and what they are for.
GROUPS = {
    "v2": ("Edits", "Submit an edit, follow it to its end, fetch the result. Answers at once; nothing blocks."),
    "v1": ("Edits in one call", "The call blocks until the picture is there, and answers its bytes."),
    "uploads": ("Uploads", "Send a picture once, and name it in many edits."),
    "webhooks": ("Webhooks", "Be told when a request ends, instead of asking."),
    "account": ("Account", "Balance, usage and keys of the account that the key belongs to."),
    "openai": ("OpenAI's shape", "The images API of OpenAI's clients; point their base URL here."),
    "operator": ("Operator", "Workers, queue and failures of the whole service, for keys with operator rights."),
    "health": ("Health", "For load balancers and supervisors."),
}
_METHODS = ("post", "get", "put", "patch", "delete")
_JSON, _FORM = "application/json", "multipart/form-data"
_REFERENCE = "#/components/schemas/"


@dataclass(frozen=True)
class Body:
    """A request's body in one content type.

    It may be the ``same`` as an earlier operation's, or as this one's first but for the fields in ``changed``.
    """

    content_type: str
    schema: Schema
    same: "Operation | None" = None
    changed: Mapping[str, Schema] | None = None


@dataclass(frozen=True)
class Answer:
    """A response: its status, in words, and the schemas of its JSON or else its content types."""

    status: str
    description: str
    schemas: Sequence[Schema]
    content_types: Sequence[str]


@dataclass(frozen=True)
class Operation:
    """A method of a path."""

    method: str
    path: str
    told: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its anchor: ``post-v2-slug``."""
        return self.method + self.path.replace("/", "-").replace("{", "").replace("}", "")

    @property
    def name(self) -> str:
        """A word or two: ``Submit``."""
        return str(self.told["summary"]).capitalize()

    @property
    def scheme(self) -> str:
        """Who may call it: ``key``, ``bearer``, or "" for anybody."""
        return next(iter((self.told.get("security") or [{}])[0]), "")

    @cached_property
    def parameters(self) -> list[Mapping[str, Any]]:
        """Those of path, query and headers."""
        return list(self.told.get("parameters", ()))

    @cached_property
    def content(self) -> Mapping[str, Schema]:
        """The schemas of its body by content type."""
        return _schemas(self.told.get("requestBody", {}))

    @cached_property
    def answers(self) -> list[Answer]:
        """What it answers when nothing is wrong with the call; a request that FAILED has an answer too."""
        return [_answer(*each) for each in self._responses if not _is_refusal(*each)]

    @cached_property
    def failures(self) -> dict[str, list[str]]:
        """The codes of its errors by status."""
        refused = (status for status, told in self._responses if _is_refusal(status, told) and status.isdigit())
        return {status: [code for code, (of, _) in CODES.items() if of == int(status)] for status in refused}

    @cached_property
    def failure(self) -> Schema | None:
        """Its errors' schema, where that isn't everybody's."""
        refused = (told for status, told in self._responses if _is_refusal(status, told))
        return next((schema for told in refused for schema in _schemas(told).values() if "$ref" not in schema), None)

    @property
    def _responses(self) -> list[tuple[str, Mapping[str, Any]]]:
        return sorted(self.told["responses"].items())


@dataclass(frozen=True)
class Group:
    """The operations of a tag."""

    tag: str
    title: str
    text: str
    operations: Sequence[Operation]


class Reference:
    """A document's groups and bodies, with calls of the service at ``base_url``."""

    def __init__(self, document: Mapping[str, Any], base_url: str) -> None:
        self._schemas: Mapping[str, Schema] = document["components"]["schemas"]
        self._base_url = base_url
        uses = Counter(re.findall(rf'"{_REFERENCE}(\w+)"', json.dumps(document)))
        self._shared = {name for name, count in uses.items() if count > 1}
        self.groups = list(_groups(document["paths"]))
        self._first = self._first_bodies()

    @property
    def shared(self) -> dict[str, Schema]:
        """The named bodies that are found in more than one place, and so are written out in one of their own."""
        return {name: schema for name, schema in self._schemas.items() if self.is_shared(name)}

    def is_shared(self, name: str) -> bool:
        """Whether a named body is found in more than one place."""
        return name in self._shared

    def schema(self, name: str) -> Schema:
        """A named body."""
        return self._schemas[name]

    def bodies(self, operation: Operation) -> Iterator[Body]:
        """An operation's body in each of its content types; what was told before is referred to."""
        main: Schema = {}
        for content_type, schema in operation.content.items():
            if list(main.get("properties", ())) == list(schema.get("properties", ())) != []:
                fields = schema["properties"].items()
                yield Body(content_type, schema, changed={k: v for k, v in fields if v != main["properties"][k]})
            else:
                first = self._first[_text(schema)]
                yield Body(content_type, schema, same=None if first is operation else first)
            main = main or schema

    def curl(self, operation: Operation) -> str:
        """A call of ``operation`` as a shell takes it: the key in ``$KEY``, ids in ``$request_id`` and alike."""
        path = operation.path.replace("{slug}", SLUG).replace("{", "$").replace("}", "")
        lines = [" ".join(["curl", *_options(operation), self._base_url + path])]
        lines += {"key": ['-H "x-api-key: $KEY"'], "bearer": ['-H "authorization: Bearer $KEY"']}.get(
            operation.scheme, []
        )
        lines += _data(operation.content)
        return " \\\n  ".join(lines)

    def _first_bodies(self) -> dict[str, Operation]:
        found: dict[str, Operation] = {}
        for group in self.groups:
            for operation in group.operations:
                for schema in operation.content.values():
                    found.setdefault(_text(schema), operation)
        return found


def name_of(schema: Schema) -> str:
    """The name that a schema refers to, or "" for one that is written out."""
    return str(schema.get("$ref", "")).removeprefix(_REFERENCE)


def _groups(paths: Mapping[str, Mapping[str, Any]]) -> Iterator[Group]:
    tagged: dict[str, list[Operation]] = {tag: [] for tag in GROUPS}
    for path, methods in paths.items():
        for method, told in methods.items():
            tagged.setdefault((told.get("tags") or ["other"])[0], []).append(Operation(method, path, told))
    for tag, operations in tagged.items():
        if operations:
            yield Group(tag, *GROUPS.get(tag, (tag.capitalize(), "")), sorted(operations, key=_place))


def _place(operation: Operation) -> tuple[bool, str, int]:
    """The model's own routes come first, then a path's methods in the order of its life."""
    return operation.path.split("/")[2:3] != ["{slug}"], operation.path, _METHODS.index(operation.method)


def _is_refusal(status: str, told: Mapping[str, Any]) -> bool:
    """A request that FAILED is the answer to a call with which nothing is wrong."""
    return status >= "400" and {"$ref": f"{_REFERENCE}Failed"} not in _schemas(told).values()


def _answer(status: str, told: Mapping[str, Any]) -> Answer:
    schemas = _schemas(told)
    of_json = schemas.pop(_JSON, None)
    found = of_json.get("anyOf", [of_json]) if of_json else []
    return Answer(status, told["description"], found, list(schemas))


def _schemas(told: Mapping[str, Any]) -> dict[str, Schema]:
    return {kind: content.get("schema", {}) for kind, content in told.get("content", {}).items()}


def _text(schema: Schema) -> str:
    return json.dumps(schema, sort_keys=True)


def _options(operation: Operation) -> Iterator[str]:
    kinds = [kind for answer in operation.answers for kind in answer.content_types]
    if "text/event-stream" in kinds:
        yield "-N"
    if "image/png" in kinds:
        yield "-o edited.png"
    if operation.method != ("post" if operation.content else "get"):
        yield f"-X {operation.method.upper()}"


def _data(content: Mapping[str, Schema]) -> list[str]:
    """A picture goes as a file, in a form; anything else as JSON."""
    if _FORM in content:
        fields = content[_FORM].get("properties", {"file": {"format": "binary"}})
        required = content[_FORM].get("required", ["file"])
        return [f"-F {shlex.quote(f'{name}={_example(name, fields[name])}')}" for name in required]
    if _JSON in content:
        body = json.dumps(_body(content[_JSON]), ensure_ascii=False)
        return ['-H "content-type: application/json"', f"-d {shlex.quote(body)}"]
    return []


def _body(schema: Schema) -> Any:
    """The least that is taken: what is required, or else the first field alone."""
    fields = schema.get("properties", {})
    return {name: _example(name, fields[name]) for name in schema.get("required") or list(fields)[:1]}


def _example(name: str, schema: Schema) -> Any:
    """A value that a field could have."""
    if schema.get("format") == "binary":
        return "@picture.png"
    if name == "prompt":
        return EXAMPLE_PROMPT
    if given := [*schema.get("examples", ()), *schema.get("enum", ())]:
        return given[0]
    if "default" in schema:
        return schema["default"]
    return {"integer": 1, "number": 1, "boolean": True, "array": []}.get(
        schema.get("type", ""), f"https://example.com/{name}"
    )

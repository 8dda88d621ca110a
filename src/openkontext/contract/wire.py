"""The JSON bodies of the wire: pure functions, so that server, client and tests speak of the same shapes."""

from collections.abc import Mapping
from typing import Any

from .states import State


def urls(base: str, request_id: str) -> dict[str, str]:
    """The two v2 addresses of a request under ``base`` (no trailing slash)."""
    response = f"{base}/v2/requests/{request_id}"
    return {"status_url": f"{response}/status", "response_url": response}


def submitted(base: str, request_id: str) -> dict[str, Any]:
    """The 200 of a v2 submit."""
    return {
        "request_id": request_id,
        "status": State.QUEUED.value,
        "poll_url": f"{base}/v1/requests/{request_id}",
    } | urls(base, request_id)


def status(base: str, request_id: str, state: State, metrics: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The light status body of a request that has not failed."""
    body = {"status": state.value, "request_id": request_id}
    if state is not State.COMPLETED:
        body |= urls(base, request_id)
    metrics = metrics or {}
    return body | {"metrics": {name: metrics[name] for name in ("inference_time",) if name in metrics}}


def completed(
    request_id: str,
    url: str,
    result: Mapping[str, Any],
    *,
    parent_id: str | None = None,
    input_url: str | None = None,
) -> dict[str, Any]:
    """The result body; ``result`` is what the worker stored, ``url`` the output's signed address.

    ``parent_id`` is the request whose output was this one's input; ``input_url`` the address of that picture.
    """
    output = result["output"]
    image = {"url": url, "content_type": output["content_type"], "file_name": output["file_name"]}
    body = {
        "status": State.COMPLETED.value,
        "request_id": request_id,
        "output": url,
        "images": [image | {"file_size": str(output["file_size"])}],
        "seed": str(result["seed"]),
        "prompt": result["prompt"],
        "metrics": result["metrics"],
    }
    beside = {"warnings": result.get("warnings"), "parent_request_id": parent_id, "input": input_url}
    return body | {name: value for name, value in beside.items() if value}


def failed(request_id: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a FAILED request (HTTP 422 on v2)."""
    body = {"status": State.FAILED.value, "request_id": request_id, "error": result["error"], "code": result["code"]}
    moderation = {"moderation": result["moderation"]} if "moderation" in result else {}
    return body | moderation | {"metrics": result["metrics"]}

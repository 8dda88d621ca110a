"""Events as they are sent: the result body as a poll would show it, signed as Standard Webhooks has it."""

import json
from datetime import UTC, datetime

from standardwebhooks import Webhook

from openkontext.contract import wire
from openkontext.store import Event

from .services import Services


def text(services: Services, event: Event) -> str:
    """The body of an event that is not erased: the same text each time, since it is what is signed."""
    assert event.body is not None
    result = event.body["result"]
    if event.type != "request.completed":
        return _compact(wire.failed(event.job_id, result))
    path = services.signer.sign(result["output"]["key"], int(event.body["expires_at"]))
    url = (event.body["base_url"] or _address(services)) + path
    return _compact(wire.completed(event.job_id, url, result, parent_id=event.body["parent_id"]))


def signed(event: Event, body: str, secret: str, now: float) -> dict[str, str]:
    """The headers that say which event it is and when it was sent, with the signature over these and ``body``.

    The id is of the event: the same for each receiver, attempt and redelivery, so that who gets it twice can tell.
    """
    id, sent = f"msg_{event.job_id}", datetime.fromtimestamp(int(now), UTC)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": Webhook(secret).sign(id, sent, body),
    }


def _compact(body: dict[str, object]) -> str:
    # ASCII alone: a prompt may hold characters that no other encoding of JSON can carry.
    return json.dumps(body, separators=(",", ":"))


def _address(services: Services) -> str:
    """Of this server, for requests that came without one."""
    settings = services.settings
    return settings.public_url.rstrip("/") or f"http://{settings.host}:{settings.port}"

"""`webhooks listen`: an account's events on a machine that no server can reach, followed over HTTP and verified."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import typer
from standardwebhooks import Webhook, WebhookVerificationError

from openkontext.client import OpenkontextError
from openkontext.client.sse import Message, Parser
from openkontext.client.target import Target

from .flags import die, note
from .times import shown_time

# The server sends something at least every few seconds: one that is silent for this long is gone.
_TIMEOUT = httpx.Timeout(10, read=60)
_PASSING = (429, 500, 502, 503, 504)
_LONGEST_PAUSE = 30.0


class Feed:
    """An account's events as a server tells them, over as many connections as that takes."""

    def __init__(self, target: Target, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._http = httpx.Client(base_url=target.root, headers=target.headers(), timeout=_TIMEOUT)
        self._pause = pause
        self._parser = Parser()
        self._troubles = 0

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def secret(self) -> str:
        """What the account's events are signed with. Raises OpenkontextError and httpx.TransportError."""
        response = self._http.get("/v2/webhooks/secret")
        if response.status_code != 200:
            raise OpenkontextError.from_response(response)
        return str(response.json()["secret"])

    def messages(self) -> Iterator[Message]:
        """Each event once, from now on, without an end. Raises OpenkontextError for what waiting can't mend."""
        while True:
            try:
                yield from self._connection()
                why = "the server ended the connection"
            except httpx.TransportError as error:
                why = str(error) or type(error).__name__
            except OpenkontextError as error:
                if error.status not in _PASSING:
                    raise
                why = str(error)
            seconds = min((self._parser.retry or 1.0) * 2**self._troubles, _LONGEST_PAUSE)
            self._troubles = min(self._troubles + 1, 10)
            note(f"connection lost: {why}; trying again in {seconds:g} s")
            self._pause(seconds)

    def _connection(self) -> Iterator[Message]:
        headers = {"last-event-id": self._parser.last_id} if self._parser.last_id else {}
        self._parser.connect()
        with self._http.stream("GET", "/v2/webhooks/events", headers=headers) as response:
            if response.status_code != 200:
                response.read()
                raise OpenkontextError.from_response(response)
            self._troubles = 0
            note(f"listening to {self._http.base_url}; Ctrl-C ends it")
            for chunk in response.iter_bytes():
                yield from self._parser.feed(chunk)


def listen(target: Target, *, body: bool, receiver: str | None) -> None:
    """Print a line for each event of the account whose key the target has, until Ctrl-C.

    ``body``: and its body. ``receiver``: and post it there. Ends the program where the server refuses.
    """
    try:
        with Feed(target) as feed:
            webhook = Webhook(feed.secret())
            for message in feed.messages():
                _tell(message, webhook, body=body, receiver=receiver)
    except KeyboardInterrupt:
        note("stopped")
    except OpenkontextError as error:
        die(error.detail or str(error))
    except httpx.TransportError as error:
        die(f"no answer from {target.root}: {error or type(error).__name__}")


def find_target(server: str | None, api_key: str | None, key_file: Path) -> Target:
    """The server and the key: those given, else the environment's; on the service's own machine, its file's."""
    try:
        target = Target.of(api_key, server)
    except ValueError as error:
        die(str(error))
    # The local service's key is nobody else's business.
    if target.api_key is None and urlsplit(target.root).hostname in ("127.0.0.1", "localhost", "::1"):
        target = Target.of(_read(key_file), server)
    if target.api_key is None:
        die("no API key: give it by --api-key, or set OPENKONTEXT_API_KEY to it")
    return target


def _read(key_file: Path) -> str | None:
    try:
        return key_file.read_text()
    except OSError:
        return None


def _tell(message: Message, webhook: Webhook, *, body: bool, receiver: str | None) -> None:
    try:
        data = json.loads(message.data)
        headers: dict[str, str] = data["headers"]
        text: str = data["body"]
        request = json.loads(text)["request_id"]
    except (ValueError, KeyError, TypeError):
        return note(f"an event {message.event!r} that can't be read")
    forwarded = f"  {_forward(receiver, headers, text)}" if receiver else ""
    verdict = _verdict(webhook, headers, text)
    typer.echo(f"{shown_time(time.time())}  {message.event}  {request}  {verdict}{forwarded}")
    if body:
        typer.echo(text)


def _verdict(webhook: Webhook, headers: dict[str, str], body: str) -> str:
    try:
        webhook.verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        return f"NOT VERIFIED: {str(error).lower()}"
    return "verified"


def _forward(receiver: str, headers: dict[str, str], body: str) -> str:
    signed = {name: value for name, value in headers.items() if name.lower().startswith("webhook-")}
    try:
        # Past any proxy of the environment: it is an address of here.
        response = httpx.post(
            receiver,
            content=body,
            headers=signed | {"content-type": "application/json"},
            timeout=10,
            trust_env=False,
        )
    except httpx.TransportError as error:
        return f"forwarded: no answer ({error or type(error).__name__})"
    return f"forwarded: {response.status_code}"

"""The blocking client. Its names and shape are the hosted client's."""

import time
from collections.abc import Callable, Generator, Iterable
from datetime import date
from os import PathLike
from typing import Any, Self

import httpx

from .core import MAX_RETRIES, MAX_WAIT_S, Core, http_options
from .events import Event
from .io import BlockingIO, each, settle
from .stream import OnProgress
from .submission import DEFAULT_POLL_INTERVAL_S, DEFAULT_POLL_TIMEOUT_S, Submission
from .target import Target


class Job(Submission):
    """A request submitted by a `Client`."""

    def status(self) -> dict[str, Any]:
        """The status body now: ``status`` is QUEUED, PROCESSING, COMPLETED or FAILED (then with ``error``)."""
        return settle(self._core.fetch(self.status_url))

    def wait(
        self,
        timeout: float = DEFAULT_POLL_TIMEOUT_S,
        interval: float = DEFAULT_POLL_INTERVAL_S,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Any]:
        """Block until the request has ended, and return its result body.

        Args:
            timeout: seconds after which it is not waited for any longer.
            interval: seconds between two looks at the status.
            on_progress: called with each `Event` of `stream`, which then is what is waited on.

        Raises:
            InferenceFailed: it ended as FAILED.
            InferenceTimeout: it hasn't ended in time; it goes on.
        """
        return settle(self._wait(timeout, interval, on_progress))

    def stream(self, timeout: float = DEFAULT_POLL_TIMEOUT_S) -> Generator[Event, None, None]:
        """What happens to the request, as it happens; the last event is ``done``, also for a FAILED request.

        A broken connection is made again, and goes on where it was. With a server that has no stream of events, the
        status is polled, and its changes are the events.

        Raises:
            InferenceTimeout: it hasn't ended after ``timeout`` seconds; it goes on.
        """
        return each(self._events(timeout))

    def result(self) -> dict[str, Any]:
        """The result body; a FAILED request's says why, a running one's is its status body."""
        return settle(self._core.fetch(self.response_url))

    def cancel(self) -> bool:
        """Stop it; it is not charged. True: it will stop before its next step, and be FAILED with code ``cancelled``.

        False: it had ended before, and **its result and files are now erased**.
        """
        return settle(self._cancel())

    def pin(self) -> dict[str, Any]:
        """Keep a COMPLETED request past its retention, until it is unpinned or erased; the result body, whose
        ``output`` has a new address that lives as long."""
        return settle(self._pin(True))

    def unpin(self) -> dict[str, Any]:
        """Let a pinned request expire, counted from now; the result body."""
        return settle(self._pin(False))

    def download(self, path: str | PathLike[str] | None = None) -> bytes:
        """The bytes of the finished picture, also written to ``path`` if there is one.

        Raises:
            InferenceFailed: there is none, the request is FAILED.
            OpenkontextError: there is none yet.
        """
        return settle(self._download(path))


class Files:
    """A client's uploads: pictures that requests can name by URL. The server keeps them for a day (a setting)."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def upload(self, file: Any) -> str:
        """Upload a picture, in any form that ``input_image`` may have, and return its URL. A file is streamed."""
        return settle(self._core.upload(file))

    def upload_many(self, files: Iterable[Any]) -> list[str]:
        """The URLs of several pictures, in their order."""
        return [self.upload(file) for file in files]


class Client:
    """A connection to a server. ``files`` are its uploads.

    Args:
        api_key: else OPENKONTEXT_API_KEY, else SEGMIND_API_KEY.
        base_url: else OPENKONTEXT_BASE_URL, else http://127.0.0.1:8000; with or without /v1.
        timeout: seconds that an answer may take; `run_sync` adds the 60 that the server may work on it.
        transport: an httpx transport to use instead of the network.
        max_retries: how often a request is sent again after trouble, where that is safe (`openkontext.client.retry`).
        max_wait: seconds that one call may wait in all for a server that refuses it and says when to come back: the
            rate limit, a full queue. Where it would take longer, the error is raised at once.
        sleep, clock: the time, for tests.

    Connection trouble is raised as httpx's own errors (`httpx.TransportError`), refusals as `OpenkontextError`.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        *,
        max_retries: int = MAX_RETRIES,
        max_wait: float = MAX_WAIT_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        target = Target.of(api_key, base_url)
        self.api_key, self.base_url, self.timeout = target.api_key, target.root, timeout
        self._http = httpx.Client(transport=transport, **http_options(timeout))
        io = BlockingIO(self._http, sleep)
        self._core = Core(target, io, timeout=timeout, max_retries=max_retries, max_wait=max_wait, clock=clock)
        self.files = Files(self._core)

    def run(
        self,
        slug: str,
        *,
        idempotency_key: str | None = None,
        on_progress: OnProgress | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        """Submit, wait for up to 600 s, and return the result body, whose ``output`` is the picture's URL.

        Args:
            slug: the model.
            idempotency_key: names this edit, so that calling again, from another process too, gives the same one
                and is charged once. Without one, each call is an edit of its own.
            on_progress: called with each `Event` on the way.
            params: the edit. ``input_image`` may be a path, bytes, a binary file, a PIL image, a URL or a data: URI;
                one that is here and larger than 1 MB is uploaded. Everything else goes to the server as it is, also
                what is called ``timeout``: for another deadline use ``submit_async(…).wait(…)``.

        Raises:
            InferenceFailed: the request ended as FAILED.
            InferenceTimeout: it hasn't ended in time; it goes on.
            Conflict: the idempotency key was used with other parameters.
            Gone: the idempotency key's result has expired.
        """
        return self.submit_async(slug, idempotency_key=idempotency_key, **params).wait(on_progress=on_progress)

    def run_sync(self, slug: str, *, idempotency_key: str | None = None, **params: Any) -> httpx.Response:
        """One blocking call (v1); the response's ``content`` is the picture, its headers have cost and seed.

        Takes what `run` takes. Interrupting it ends the waiting only, not the request.

        Raises:
            GatewayTimeout: not done within the server's limit, and the repeats that joined the wait for it; it goes
                on: ``client.job(error.request_id).wait()``.
        """
        return settle(self._core.run_sync(slug, params, idempotency_key))

    def submit_async(
        self, slug: str, *, idempotency_key: str | None = None, webhook: str | None = None, **params: Any
    ) -> Job:
        """Submit (v2) and return at once with a handle. Takes what `run` takes, and a ``webhook``: a URL at which the
        server posts the result once the request has ended, signed (docs/webhooks.md)."""
        return Job._of(self._core, settle(self._core.submit(slug, params, idempotency_key, webhook)))

    def estimate(self, slug: str, **params: Any) -> dict[str, Any]:
        """What an edit would cost and take: cost, width, height, queue_seconds, run_seconds (None: not known yet).

        Runs nothing, and raises `BadRequest` for what the submit would refuse.
        """
        return settle(self._core.estimate(slug, params))

    def job(self, request_id: str) -> Job:
        """The handle of a request submitted before, maybe by another process."""
        return Job._by_id(self._core, request_id)

    def history(
        self,
        page: int = 1,
        per_page: int = 20,
        status: str | None = None,
        since: date | str | None = None,
        until: date | str | None = None,
    ) -> dict[str, Any]:
        """A page of the account's requests, newest first: ``requests``, ``page``, ``per_page`` and ``total``.

        Args:
            page: from 1.
            per_page: 1 to 100.
            status: a state, or several joined by commas.
            since, until: a day or a time (`date`, `datetime` or ISO 8601), in UTC unless it says otherwise; the day
                of ``until`` is a part of it.
        """
        return settle(self._core.history(page=page, per_page=per_page, status=status, since=since, until=until))

    def models(self) -> dict[str, Any]:
        """The server's models, under ``data``: parameters, price, states and errors of each."""
        return settle(self._core.ask("GET", "v1", "models"))

    def credits(self) -> dict[str, Any]:
        """What the account can spend, under ``credits``; what is held for running requests is taken off."""
        return settle(self._core.ask("GET", "v1", "get-user-credits"))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

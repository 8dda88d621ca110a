"""The blocking client. Its names and shape are the hosted client's."""

import time
from collections.abc import Callable
from os import PathLike
from typing import Any, Self

import httpx

from .core import MAX_RETRIES, Core, http_options
from .io import BlockingIO, settle
from .submission import DEFAULT_POLL_INTERVAL_S, DEFAULT_POLL_TIMEOUT_S, Submission
from .target import Target


class Job(Submission):
    """A request submitted by a `Client`."""

    def status(self) -> dict[str, Any]:
        """The status body now: ``status`` is QUEUED, PROCESSING, COMPLETED or FAILED (then with ``error``)."""
        return settle(self._core.fetch(self.status_url))

    def wait(
        self, timeout: float = DEFAULT_POLL_TIMEOUT_S, interval: float = DEFAULT_POLL_INTERVAL_S
    ) -> dict[str, Any]:
        """Block until the request has ended, and return its result body.

        Args:
            timeout: seconds after which no further status is asked for.
            interval: seconds between two looks at the status.

        Raises:
            InferenceFailed: it ended as FAILED.
            InferenceTimeout: it hasn't ended in time; it goes on.
        """
        return settle(self._wait(timeout, interval))

    def result(self) -> dict[str, Any]:
        """The result body; a FAILED request's says why, a running one's is its status body."""
        return settle(self._core.fetch(self.response_url))

    def cancel(self) -> bool:
        """Stop it; it is not charged. True: it will stop before its next step, and be FAILED with code ``cancelled``.

        False: it had ended before, and **its result and files are now erased**.
        """
        return settle(self._cancel())

    def download(self, path: str | PathLike[str] | None = None) -> bytes:
        """The bytes of the finished picture, also written to ``path`` if there is one.

        Raises:
            InferenceFailed: there is none, the request is FAILED.
            OpenkontextError: there is none yet.
        """
        return settle(self._download(path))


class Client:
    """A connection to a server.

    Args:
        api_key: else OPENKONTEXT_API_KEY, else SEGMIND_API_KEY.
        base_url: else OPENKONTEXT_BASE_URL, else http://127.0.0.1:8000; with or without /v1.
        timeout: seconds that an answer may take; `run_sync` adds the 60 that the server may work on it.
        transport: an httpx transport to use instead of the network.
        max_retries: how often a request is sent again, where that is safe.
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
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        target = Target.of(api_key, base_url)
        self.api_key, self.base_url, self.timeout = target.api_key, target.root, timeout
        self._http = httpx.Client(transport=transport, **http_options(timeout))
        io = BlockingIO(self._http, sleep)
        self._core = Core(target, io, timeout=timeout, max_retries=max_retries, clock=clock)

    def run(self, slug: str, **params: Any) -> dict[str, Any]:
        """Submit, wait for up to 600 s, and return the result body, whose ``output`` is the picture's URL.

        ``input_image`` may be a path, bytes, a binary file, a PIL image, a URL or a data: URI. Everything else goes to
        the server as it is, also what is called ``timeout``: for another deadline use ``submit_async(…).wait(…)``.

        Raises:
            InferenceFailed: the request ended as FAILED.
            InferenceTimeout: it hasn't ended in time; it goes on.
        """
        return self.submit_async(slug, **params).wait()

    def run_sync(self, slug: str, **params: Any) -> httpx.Response:
        """One blocking call (v1); the response's ``content`` is the picture, its headers have cost and seed.

        Raises:
            GatewayTimeout: not done within the server's limit; it goes on: ``client.job(error.request_id).wait()``.
        """
        return settle(self._core.run_sync(slug, params))

    def submit_async(self, slug: str, **params: Any) -> Job:
        """Submit (v2) and return at once with a handle. Takes what `run` takes."""
        return Job._of(self._core, settle(self._core.submit(slug, params)))

    def job(self, request_id: str) -> Job:
        """The handle of a request submitted before, maybe by another process."""
        return Job._by_id(self._core, request_id)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

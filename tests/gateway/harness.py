"""What the gateway's tests are made of: the real app, store and blobs, and a worker that does as it is told."""

import asyncio
import base64
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from PIL import Image

from openkontext.contract import CODES, SLUG
from openkontext.gateway import Services
from openkontext.gateway.server import Server
from openkontext.media.images import CONTENT_TYPES
from openkontext.store import Account, Claim, Key, output_key
from tests.service import eventually

BASE = "http://gateway.test"
SUBMIT = f"/v2/{SLUG}"
RUN = f"/v1/{SLUG}"
TIMES = {"inference_time": 3.1, "queue_time": 0.01, "total_time": 3.2}


def picture(width: int = 48, height: int = 32, form: str = "PNG") -> bytes:
    """A small picture's file."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "#3366aa").save(file, form)
    return file.getvalue()


def data_uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


PICTURE = picture()
EDIT = {"input_image": data_uri(PICTURE), "prompt": "make it snow", "num_inference_steps": 4, "seed": 7}


class Clock:
    """Time stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Worker:
    """The model's process, as far as the store and the blobs can tell; each call is one thing that it does."""

    def __init__(self, services: Services, name: str = "worker") -> None:
        self.services = services
        self.name = name

    def take(self) -> Claim:
        """The next job, waiting for one."""
        claim: Claim = eventually(lambda: self.services.store.claim(self.name), within=20, every=0.005)
        return claim

    def complete(self, claim: Claim | None = None, *, warnings: tuple[str, ...] = ()) -> Claim:
        """Finish a job; the output is the input's picture, whatever its format."""
        claim = claim or self.take()
        form = claim.parameters["output_format"]
        key = output_key(claim.job_id, claim.attempt, form)
        self.services.blobs.put(key, PICTURE)
        output = {"key": key, "content_type": CONTENT_TYPES[form], "file_name": f"{claim.job_id}.{form}"}
        body = {"output": output | {"file_size": len(PICTURE)}, "seed": claim.parameters["seed"]}
        body |= {"prompt": claim.parameters["prompt"], "metrics": TIMES, "warnings": list(warnings)}
        self.services.store.finish(claim, body)
        return claim

    def fail(self, code: str = "inference_failed", error: str = "it broke", **more: Any) -> Claim:
        """Fail a job for good."""
        claim = self.take()
        self.services.store.fail(claim, code=code, error=error, metrics=TIMES, **more)
        return claim


@dataclass
class Gateway:
    """The app, with an account of 10 credits, its key, and a client that sends it."""

    services: Services
    app: FastAPI
    http: httpx.AsyncClient
    account: Account
    key: Key
    secret: str

    def __post_init__(self) -> None:
        self.worker = Worker(self.services)

    @property
    def clock(self) -> Clock:
        clock = self.services.store.clock
        assert isinstance(clock, Clock)
        return clock

    def new_key(self, account: Account | None = None, **options: Any) -> str:
        """The secret of another key, of the same account or another."""
        chosen = {"rpm": None} | options
        return self.services.store.create_key((account or self.account).id, **chosen)[1]

    def new_account(self, name: str, micros: int = 10_000_000) -> Account:
        account = self.services.store.create_account(name)
        if micros:
            self.services.store.add_credits(account.id, micros)
        return account

    async def submit(self, **changes: Any) -> dict[str, Any]:
        """The answer to an accepted submit."""
        response = await self.http.post(SUBMIT, json=EDIT | changes)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    async def completed(self, **changes: Any) -> dict[str, Any]:
        """The full body of a job that was submitted and completed."""
        submitted = await self.submit(**changes)
        self.worker.complete()
        body: dict[str, Any] = (await self.http.get(f"/v2/requests/{submitted['request_id']}")).json()
        return body

    @property
    def balance(self) -> float:
        """In credits."""
        return self.services.store.balance(self.account.id) / 1e6

    @property
    def blobs(self) -> set[str]:
        """The keys of all that is stored."""
        root = Path(self.services.settings.blobs)
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def assert_error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Every failure has one shape: that, with this status and code. Returns the body."""
    assert response.headers["content-type"] == "application/json", response.text
    body: dict[str, Any] = response.json()
    assert (status, code) == (response.status_code, body.get("code")), response.text
    assert CODES[code][0] == status or body.get("status") == "FAILED"
    assert isinstance(body["error"], str)
    assert body["error"].strip()
    assert "detail" not in body
    assert "Traceback" not in response.text
    return body


def connect(app: FastAPI, secret: str = "", *, address: str = "127.0.0.1", base: str = BASE) -> httpx.AsyncClient:
    """A client in this process; what the app raises becomes its 500, as it would on a server."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50000))
    return httpx.AsyncClient(transport=transport, base_url=base, headers={"x-api-key": secret} if secret else {})


async def soon(what: Callable[[], Any], *, within: float = 20.0) -> Any:
    """The first true value of ``what``; fails after ``within`` seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if value := what():
            return value
        await asyncio.sleep(0.005)
    raise AssertionError(f"not within {within} s: {what}")


@dataclass
class Live:
    """The app on a real socket."""

    url: str
    port: int
    services: Services
    account: Account
    secret: str
    server: Server

    def __post_init__(self) -> None:
        self.worker = Worker(self.services)

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"x-api-key": self.secret}, timeout=30)

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextmanager
def serving(services: Services) -> Iterator[Live]:
    """Serve the app from a thread, as `openkontext gateway` does from a process."""
    account = services.store.create_account("live")
    services.store.add_credits(account.id, 10_000_000)
    _, secret = services.store.create_key(account.id, rpm=None)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = Server(services)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        eventually(lambda: server.started, within=20)
        yield Live(f"http://127.0.0.1:{port}", port, services, account, secret, server)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()

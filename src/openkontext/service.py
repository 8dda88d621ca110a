"""`openkontext serve`: gateway and workers as children of one small process, from nothing to ready."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.status import Status

from openkontext.contract import money
from openkontext.media import durable
from openkontext.parts import CannotStart, open_store
from openkontext.settings import Settings
from openkontext.store import Store
from openkontext.worker.supervisor import Child, Supervisor

LOCAL_ACCOUNT = "local"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `CannotStart` when the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        text = f"can't listen on {host}:{port}: {os.strerror(error.errno or 0).lower()}; choose another with --port"
        raise CannotStart(text) from None


def local_key(store: Store, settings: Settings) -> str:
    """The key of the account `local`, from DATA/api-key; made with its account at the first start."""
    path = settings.data / "api-key"
    if path.exists() and store.authenticate(secret := path.read_text().strip()):
        return secret
    account = store.account(LOCAL_ACCOUNT)
    if account is None:
        account = store.create_account(LOCAL_ACCOUNT)
        store.add_credits(account.id, money.to_micros(settings.local_credits))
    _, secret = store.create_key(account.id, rpm=None, label="made at the first start")
    durable.write(path, f"{secret}\n".encode(), 0o600)
    return secret


class Announcer:
    """Shows the start's progress, and once the service is ready, how to use it."""

    def __init__(self, console: Console, url: str, key: str, settings: Settings) -> None:
        self._console = console
        self._url, self._key, self._settings = url, key, settings
        self._status: Status | None = None
        self._ready = threading.Event()
        self._waiting = settings.workers

    def __enter__(self) -> "Announcer":
        self._status = self._console.status(f"starting, model {self._settings.model} …")
        self._status.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._status:
            self._status.stop()

    def hear(self, child: Child, event: dict[str, Any]) -> None:
        """An event of a child, from the supervisor."""
        if event["event"] == "loading":
            self._say(f"loading {event['part']} ({event['done']} of {event['total']}) …")
        elif event["event"] == "dead":
            self._console.print(f"[red]{child.slot} died:[/] {event['message']}; it is started again")
        elif event["event"] == "ready" and self._waiting > 0:
            self._waiting -= 1
            if self._waiting == 0:
                threading.Thread(target=self._when_answering, daemon=True).start()

    def _say(self, text: str) -> None:
        if self._status and not self._ready.is_set():
            self._status.update(text)
            if not self._console.is_terminal:
                self._console.print(text)

    def _when_answering(self) -> None:
        _await_answer(f"{self._url}/healthz")
        self._ready.set()
        if self._status:
            self._status.stop()
        print_banner(self._console, self._url, self._key, self._settings)


def print_banner(console: Console, url: str, key: str, settings: Settings) -> None:
    """The address, the key and a command to try."""
    sample = next(
        (path for path in (Path("samples/cat.png"), *sorted(Path("samples").glob("*.png"))) if path.exists()),
        "photo.jpg",
    )
    lines = [
        f"[bold green]ready[/]  {url}",
        f"key    {key}   (in {settings.data / 'api-key'})",
        "try    " + f'curl {url}/v1/flux-kontext-dev -H "x-api-key: $(cat {settings.data / "api-key"})" \\',
        f'         -F input_image=@{sample} -F prompt="make it snow" -o edited.png',
    ]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def serve(settings: Settings, console: Console) -> None:
    """Run gateway and workers until SIGINT or SIGTERM, then drain. Raises `CannotStart` and `Misconfigured`."""
    listener = listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    settings = settings.model_copy(update={"port": port})
    store = open_store(settings)
    key = local_key(store, settings)
    url = settings.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    with Announcer(console, url, key, settings) as announcer:
        supervisor = Supervisor(
            store,
            children(settings, listener),
            silence=settings.lease,
            drain=settings.drain + 10,
            on_event=announcer.hear,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.stop())
        supervisor.run()
    console.print("stopped")
    store.close()


def children(settings: Settings, listener: socket.socket) -> list[Child]:
    """The gateway, which inherits the listening socket so that a restart refuses nobody, and the workers."""
    listener.set_inheritable(True)
    python = (sys.executable, "-m", "openkontext")
    gateway = Child(
        "gateway",
        "gateway",
        _command(*python, "gateway", "--fd", str(listener.fileno()), "--with-workers"),
        settings.environment(),
        (listener.fileno(),),
    )
    devices = _devices(settings)
    workers = [
        Child(
            "worker",
            f"worker-{index}",
            _named(*python, "worker"),
            settings.model_copy(update={"device": devices[index % len(devices)]}).environment(),
        )
        for index in range(settings.workers)
    ]
    return [gateway, *workers]


def _command(*words: str) -> Callable[[str], list[str]]:
    return lambda name: list(words)


def _named(*words: str) -> Callable[[str], list[str]]:
    return lambda name: [*words, "--name", name]


def _devices(settings: Settings) -> list[str]:
    """The devices to spread workers over; only several CUDA devices need telling apart."""
    if settings.device != "auto":
        return [settings.device]
    # Counted without PyTorch, which this process must not load.
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*"))
    return [f"cuda:{index}" for index in range(len(cards))] if len(cards) > 1 else ["auto"]


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=2)
            return
        except httpx.TransportError:
            time.sleep(0.05)

"""`openkontext serve`: gateway and workers as children of one small process, from nothing to ready."""

import ipaddress
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
from rich.markup import escape

from openkontext.contract import money
from openkontext.media import durable
from openkontext.parts import CannotStart, open_store
from openkontext.settings import Settings
from openkontext.store import Store
from openkontext.worker.supervisor import Child, Supervisor

LOCAL_ACCOUNT = "local"
SAMPLE = Path("samples/tiger.webp")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `CannotStart` when the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        text = f"can't listen on {host}:{port}: {os.strerror(error.errno or 0).lower()}; choose another with --port"
        raise CannotStart(text) from None


def warn_if_readable(settings: Settings, console: Console) -> None:
    """Print a warning if other machines reach the address, and nothing says that TLS is in front of it."""
    if _is_loopback(settings.host) or settings.public_url.startswith("https://") or settings.trusted_proxies:
        return
    console.print(
        f"[yellow]warning:[/] {escape(settings.host)} is served without TLS, so keys and pictures travel readable: put "
        "a proxy with TLS in front (docs/operating.md says how), then say so with --public-url https://…",
        soft_wrap=True,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def local_key(store: Store, settings: Settings) -> str:
    """The key of the account `local`, from DATA/api-key; made with its account at the first start.

    Raises `CannotStart` when the file can't be read or written.
    """
    path = settings.data / "api-key"
    try:
        return _read_or_make_key(store, settings, path)
    except OSError as error:
        raise CannotStart(f"can't use the file {path}: {(error.strerror or str(error)).lower()}") from None


def _read_or_make_key(store: Store, settings: Settings, path: Path) -> str:
    if path.exists() and store.authenticate(secret := path.read_text().strip()):
        return secret
    account = store.account(LOCAL_ACCOUNT) or store.create_account(LOCAL_ACCOUNT)
    # Asked of the books, since a first start may have been cut short.
    if not store.ledger(account.id):
        store.add_credits(account.id, money.to_micros(settings.local_credits))
    _, secret = store.create_key(account.id, rpm=None, max_queued=None, label="made at the first start")
    durable.write(path, f"{secret}\n".encode())
    return secret


class Announcer:
    """Shows the start's progress, and once the service is ready, how to use it."""

    def __init__(self, console: Console, address: str, key: str, settings: Settings) -> None:
        self._console = console
        self._address, self._key, self._settings = address, key, settings
        self._status = console.status(escape(f"starting, model {settings.model} …"))
        self._loaded: set[str] = set()
        self._ready = threading.Event()

    def __enter__(self) -> "Announcer":
        self._status.start()
        self._announce_once_all_loaded()
        return self

    def __exit__(self, *exception: object) -> None:
        self._status.stop()

    def hear(self, child: Child, event: dict[str, Any]) -> None:
        """An event of a child, from the supervisor."""
        if event["event"] == "loading":
            self._say(f"loading {event['part']} ({event['done']} of {event['total']}) …")
        elif event["event"] == "dead":
            self._console.print(f"[red]{child.slot} died:[/] {escape(event['message'])}; it is started again")
        elif event["event"] == "ready" and child.slot not in self._loaded:
            self._loaded.add(child.slot)
            self._announce_once_all_loaded()

    def _say(self, text: str) -> None:
        if not self._ready.is_set():
            self._status.update(escape(text))
            if not self._console.is_terminal:
                self._console.print(text, markup=False)

    def _announce_once_all_loaded(self) -> None:
        if len(self._loaded) == self._settings.workers:
            threading.Thread(target=self._when_answering, daemon=True).start()

    def _when_answering(self) -> None:
        _await_answer(f"{self._address}/healthz")
        self._ready.set()
        self._status.stop()
        print_banner(self._console, self._settings.public_url or self._address, self._key, self._settings)


def print_banner(console: Console, url: str, key: str, settings: Settings) -> None:
    """The address, the key and a command to try."""
    # In a checkout there is one to start with.
    sample = SAMPLE if SAMPLE.exists() else "photo.jpg"
    key_file = settings.data / "api-key"
    console.print(f"[bold green]ready[/]  {escape(url)}", soft_wrap=True)
    lines = [
        f"key    {key}   (in {key_file})",
        f'try    curl {url}/v1/flux-kontext-dev -H "x-api-key: $(cat {key_file})" \\',
        f'         -F input_image=@{sample} -F prompt="make it snow" -o edited.png',
    ]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def serve(settings: Settings, console: Console) -> None:
    """Run gateway and workers until SIGINT or SIGTERM, then drain. Raises `CannotStart` and `Misconfigured`."""
    listener = listen(settings.host, settings.port)
    warn_if_readable(settings, console)
    host, port = listener.getsockname()[:2]
    settings = settings.model_copy(update={"port": port})
    store = open_store(settings)
    key = local_key(store, settings)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    with Announcer(console, address, key, settings) as announcer:
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
            # Past any proxy of the environment: it is this machine that is asked.
            httpx.get(url, timeout=2, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.05)

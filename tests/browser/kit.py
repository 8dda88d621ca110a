"""What tests of the pages are made of: screens, a log of what goes wrong, pictures, and edits held in mid-step."""

import os
import re
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from axe_playwright_python.base import AXE_FILE_PATH
from PIL import Image, ImageDraw
from playwright.sync_api import BrowserContext, Locator, Page, Request

from openkontext.store import Store
from tests.service import Service, eventually

# Debian's, unless another is named.
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Screens, as `open_page(path, **PHONE)` takes them; they can be joined: `PHONE | DARK`.
WIDE: dict[str, Any] = {"viewport": {"width": 1920, "height": 1080}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DARK: dict[str, Any] = {"color_scheme": "dark"}
STILL: dict[str, Any] = {"reduced_motion": "reduce"}

_SERIOUS = ("serious", "critical")
_AXE = Path(AXE_FILE_PATH).read_text()


@dataclass
class Log:
    """What went wrong in a test's pages, a line each; a test allows what it is about by a pattern."""

    hosts: set[str]
    lines: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def allow(self, *patterns: str) -> None:
        """Lines in which one of these regular expressions is found are expected in this test."""
        self.allowed += patterns

    @property
    def problems(self) -> list[str]:
        """What nobody expected."""
        return [line for line in self.lines if not any(re.search(each, line) for each in self.allowed)]

    def watch(self, context: BrowserContext) -> None:
        """Note errors on the console (a violated CSP is one), uncaught exceptions, and requests to strangers."""
        context.on("console", lambda message: self._said(message.type, message.text, message.location))
        context.on("weberror", lambda error: self.lines.append(f"exception: {error.error}"))
        context.on("request", self._asked)

    def _said(self, kind: str, text: str, location: Any) -> None:
        if kind in ("error", "warning"):
            self.lines.append(f"console {kind}: {text} ({location['url']})")

    def _asked(self, request: Request) -> None:
        if request.url.startswith(("http", "ws")) and not request.url.startswith(tuple(self.hosts)):
            self.lines.append(f"request to a stranger: {request.url}")


class OwnService:
    """A service that a test may stop, and start again at the same address with the same data."""

    def __init__(self, data: Path, model: Path | str, **settings: object) -> None:
        self._data, self._model = data, model
        self._settings = settings
        self.running = self._started()
        self._settings["port"] = urlsplit(self.url).port

    @property
    def url(self) -> str:
        """Its address, the same after a restart."""
        return self.running.url

    def start(self) -> None:
        """Start it again, after `stop`."""
        self.running = self._started()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal, and wait for that."""
        self.running.stop(number)
        self.running.close()

    def restart(self) -> None:
        """Stop it in order, and start it again."""
        self.stop()
        self.start()

    def _started(self) -> Service:
        return Service(self._data, self._model, **self._settings).__enter__()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def new_key(service: Service, account: str = "local", *, credits: float | None = None, **permissions: Any) -> str:
    """The secret of a new key with these limits and permissions (`Store.create_key`).

    An account of another name is made where there is none, with so many credits.
    """
    with closing(Store.open(service.data / "openkontext.db")) as store:
        found = store.account(account) or store.create_account(account)
        if credits:
            store.add_credits(found.id, int(credits * 1e6))
        return store.create_key(found.id, **{"rpm": None, **permissions})[1]


@contextmanager
def held(service: Service, *, step: int = 0) -> Iterator[None]:
    """Stop the worker's process as long as the block lasts: what is submitted stays in the queue.

    With ``step``, wait until an edit is that far, and hold it in the middle of its steps.
    """
    worker = service.child("worker")
    if step:
        eventually(lambda: running_step(service) >= step, every=0.005)
    eventually(lambda: _stopped(worker, service.data / "openkontext.db"))
    try:
        yield
    finally:
        worker.resume()


def _stopped(worker: Any, database: Path) -> bool:
    """Stop the worker, unless it is just writing: then nobody else could write as long as it is stopped."""
    worker.suspend()
    # Each thread stops by itself, a little later: one of them might begin to write after we looked.
    eventually(lambda: _is_still(worker.pid), every=0.001)
    with closing(sqlite3.connect(database, timeout=0.2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            worker.resume()
            return False
    return True


def _is_still(pid: int) -> bool:
    """Whether each thread of a process is stopped, or has ended: state T, Z or X (proc_pid_stat(5))."""
    try:
        stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return all(stat.rpartition(")")[2].split()[0] in "TZX" for stat in stats)


@contextmanager
def unsupervised(service: Service) -> Iterator[None]:
    """What ends is not started again as long as the block lasts."""
    supervisor = psutil.Process(service.process.pid)
    supervisor.suspend()
    try:
        yield
    finally:
        supervisor.resume()


@contextmanager
def timeless(page: Page) -> Iterator[None]:
    """No time passes on the page as long as the block lasts, unless its clock is told to run: nothing there is late."""
    # A clock can't be set back, so this is where none has come yet.
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    try:
        yield
    finally:
        page.clock.resume()


def today() -> date:
    """The day by UTC; where it is about to end, the next one, once that has begun: a test is of one day."""
    eventually(lambda: (datetime.now(UTC) + timedelta(minutes=1)).date() == datetime.now(UTC).date())
    return datetime.now(UTC).date()


def running_step(service: Service) -> int:
    """How far the furthest running edit is, in steps; 0 without one."""
    with closing(sqlite3.connect(service.data / "openkontext.db", timeout=5)) as connection:
        found = connection.execute("SELECT max(step) FROM jobs WHERE state = 'PROCESSING'").fetchone()[0]
    return int(found or 0)


def wait_for_worker(service: Service) -> None:
    """Until a worker is there to take an edit."""
    with service.client() as client:
        eventually(lambda: client.get("/readyz").status_code == 200, within=120)


def with_key(key: str) -> str:
    """A script for a context's start: the key as if it had been typed in this tab."""
    # An empty page, the first of each tab, has no storage.
    return f"if (origin !== 'null') sessionStorage.setItem('openkontext-key', '{key}')"


def sign_in(page: Page, key: str) -> None:
    """Give the page the key that it asks for."""
    page.get_by_test_id("key-input").fill(key)
    page.get_by_test_id("key-submit").click()


def axe(page: Page, *, inside: str | None = None) -> None:
    """The page, or what is inside a selector, has no serious or critical violation of accessibility."""
    # Through the protocol, not as a script element, which the page's policy would refuse.
    page.evaluate(f"() => {{ {_AXE}; }}")
    found = page.evaluate("(inside) => axe.run(inside ?? document, {resultTypes: ['violations']})", inside)
    serious = [_violation(each) for each in found["violations"] if each["impact"] in _SERIOUS]
    assert [] == serious, "\n".join(serious)


def _violation(found: dict[str, Any]) -> str:
    nodes = "; ".join(f"{' '.join(map(str, node['target']))}: {node['failureSummary']}" for node in found["nodes"])
    return f"{found['id']} ({found['impact']}): {nodes}"


def both_schemes(page: Page) -> Iterator[str]:
    """The page in light and in dark, one after the other."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        # Colours that fade in would be measured half way.
        page.evaluate("() => document.getAnimations().forEach((each) => each.finish())")
        yield scheme


def fits(page: Page) -> None:
    """Nothing is wider than the screen: there is no scrolling sideways."""
    wider = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{wider} px wider than the screen"


def tab_to(page: Page, target: Locator, *, backwards: bool = False, most: int = 120) -> None:
    """Reach an element by the Tab key alone, with a focus that can be seen on each element on the way."""
    for _ in range(most):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if target.evaluate("(node) => node === document.activeElement"):
            assert page.evaluate(_FOCUS_SHOWS), f"no visible focus on {target}"
            return
    raise AssertionError(f"{target} is not reached in {most} presses of Tab")


# The focused element, or its label where it is a hidden radio or file input, has an outline or a shadow.
_FOCUS_SHOWS = """() => {
  const shown = (node) => {
    const style = getComputedStyle(node);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  };
  const node = document.activeElement;
  const labels = [...(node.labels ?? [])];
  return [node, ...labels, ...labels.flatMap((label) => [...label.querySelectorAll("*")]),
          node.nextElementSibling, node.parentElement].some((each) => each && shown(each));
}"""


def sample_picture(folder: Path, width: int = 300, height: int = 200, name: str = "tiger.webp") -> Path:
    """The file of a yellow ellipse on blue, in the format of its name."""
    image = Image.new("RGB", (width, height), "#3366aa")
    ImageDraw.Draw(image).ellipse((width * 0.3, height * 0.2, width * 0.7, height * 0.8), fill="#ffcc00")
    image.save(folder / name)
    return folder / name


def broken_picture(folder: Path, name: str = "broken.png") -> Path:
    """A file that is called a picture and is none."""
    (folder / name).write_bytes(b"this is no picture")
    return folder / name

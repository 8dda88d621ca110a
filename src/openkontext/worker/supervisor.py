"""The supervisor: starts the gateway and the workers as processes of their own and keeps them alive.

    starting ──▶ up ──▶ dead ──(backoff)──▶ starting
                  │
                  └─(asked to stop)──▶ drained

A worker's death ends its lease at once, so that another takes its job; one that is silent is killed.
"""

import json
import os
import selectors
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from openkontext.process import PARENT
from openkontext.store import Store, StoreUnavailable

from .link import EXIT_MISCONFIGURED, LINK

log = structlog.get_logger(__name__)

BACKOFF_FIRST, BACKOFF_MOST = 0.5, 30.0
# One that was ready for this long is healthy: its next death starts the backoff anew.
HEALTHY_AFTER = 60.0
# So many deaths in a row, none of them healthy, are a crash loop, and /readyz says so.
CRASH_LOOP = 3
TICK = 0.2


class Misconfigured(Exception):
    """The workers can never start as configured; the message says why."""


@dataclass
class Child:
    """A process to keep alive. ``slot`` is its place ("worker-0"); ``command`` gets a fresh name for each start."""

    role: str
    slot: str
    command: Callable[[str], Sequence[str]]
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    pass_fds: tuple[int, ...] = ()
    name: str = ""
    process: subprocess.Popen[bytes] | None = None
    reader: int = -1
    ready_at: float | None = None
    heard_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0
    # The last words of the process, kept until it is dead: why it died.
    message: str = ""
    buffer: bytes = field(default=b"", repr=False)


class Supervisor:
    """Runs children until asked to stop.

    ``silence`` is how many seconds a ready worker may go without a pulse; ``drain`` what running work gets at the end.
    ``on_event`` hears of each child's events: ``loading``, ``ready``, ``dead``.
    """

    def __init__(
        self,
        store: Store,
        children: Sequence[Child],
        *,
        silence: float,
        drain: float,
        on_event: Callable[[Child, dict[str, Any]], None] = lambda child, event: None,
    ) -> None:
        self._store = store
        self._children = list(children)
        self._silence, self._drain = silence, drain
        self._on_event = on_event
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._worked = False

    def stop(self) -> None:
        """Ask `run` to end; safe in a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Keep the children alive until `stop`, then let them drain. Raises `Misconfigured`."""
        for child in self._children:
            # What a supervisor before this one said of its workers.
            self._tell_store(partial(self._store.forget_worker, child.slot))
        try:
            while not self._stopping:
                self._start_due()
                self._hear(TICK)
                self._kill_silent()
        finally:
            self._stop_all()

    def _start_due(self) -> None:
        for child in self._children:
            if child.process is None and time.monotonic() >= child.start_at:
                self._start(child)

    def _start(self, child: Child) -> None:
        reader, writer = os.pipe()
        child.name = f"{child.slot}-{uuid.uuid4().hex[:12]}"
        environment = os.environ | child.environment | {LINK: str(writer), PARENT: str(os.getpid())}
        # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which drains in order.
        child.process = subprocess.Popen(  # noqa: S603  # our own command line
            child.command(child.name),
            env=environment,
            pass_fds=(writer, *child.pass_fds),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(writer)
        os.set_blocking(reader, False)
        child.reader, child.buffer, child.ready_at, child.message = reader, b"", None, ""
        child.heard_at = time.monotonic()
        self._selector.register(reader, selectors.EVENT_READ, child)

    def _hear(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            child = key.data
            data = os.read(child.reader, 65536)
            if data:
                self._take_in(child, data)
            else:
                # The pipe ends with the process, so its death is known at once.
                self._bury(child)

    def _take_in(self, child: Child, data: bytes) -> None:
        child.heard_at = time.monotonic()
        *lines, child.buffer = (child.buffer + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["event"] == "ready":
                self._came_up(child)
            elif event["event"] == "fatal":
                child.message = event["message"]
            if event["event"] != "pulse":
                self._on_event(child, event)

    def _kill_silent(self) -> None:
        if not any(self._silent(child) for child in self._children):
            return
        # If it was this process that stood still (Ctrl-Z, say), what they said meanwhile has yet to be read.
        self._hear(0)
        for child in filter(self._silent, self._children):
            child.message = f"silent for {self._silence:g} s"
            log.error("killed", child=child.name, reason=child.message)
            _signal(child, signal.SIGKILL)
            child.heard_at = time.monotonic()

    def _silent(self, child: Child) -> bool:
        # While it loads, a worker may hold the interpreter for long; after that, silence is a hang.
        pulsing = child.process is not None and child.ready_at is not None
        return pulsing and time.monotonic() - child.heard_at > self._silence

    def _bury(self, child: Child) -> None:
        assert child.process
        code = child.process.wait()
        self._selector.unregister(child.reader)
        os.close(child.reader)
        child.process = None
        if child.role == "worker":
            self._give_up_lease(child)
        if self._stopping:
            return
        if code == EXIT_MISCONFIGURED and not self._worked:
            raise Misconfigured(child.message)
        self._plan_restart(child, code)

    def _plan_restart(self, child: Child, code: int) -> None:
        healthy = child.ready_at is not None and time.monotonic() - child.ready_at > HEALTHY_AFTER
        child.deaths = 1 if healthy else child.deaths + 1
        delay = min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** (child.deaths - 1))
        child.start_at = time.monotonic() + delay
        message = child.message = child.message or _how_it_ended(code)
        log.error("died", child=child.name, reason=message, restart_in=delay)
        if child.role == "worker" and (child.deaths >= CRASH_LOOP or code == EXIT_MISCONFIGURED):
            self._tell_store(lambda: self._store.report_worker(child.slot, state="crashed", message=message))
        self._on_event(child, {"event": "dead", "message": message})

    def _came_up(self, child: Child) -> None:
        child.ready_at = time.monotonic()
        self._worked = True
        if child.deaths:
            self._tell_store(lambda: self._store.forget_worker(child.slot))

    def _give_up_lease(self, child: Child) -> None:
        self._tell_store(lambda: self._store.abandon(child.name))
        self._tell_store(lambda: self._store.forget_worker(child.name))

    def _tell_store(self, action: Callable[[], object]) -> None:
        try:
            action()
        except StoreUnavailable as error:
            # A lease runs out by itself, only later.
            log.warning("store unavailable", error=str(error))

    def _stop_all(self) -> None:
        self._stopping = True
        alive = [child for child in self._children if child.process]
        for child in alive:
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + self._drain
        while (alive := [child for child in self._children if child.process]) and time.monotonic() < deadline:
            self._hear(TICK)
        for child in alive:
            log.error("killed", child=child.name, reason="did not drain in time")
            _signal(child, signal.SIGKILL)
            self._bury(child)


def _signal(child: Child, number: int) -> None:
    assert child.process
    try:
        child.process.send_signal(number)
    except ProcessLookupError:
        pass


def _how_it_ended(code: int) -> str:
    return f"ended by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exited with status {code}"

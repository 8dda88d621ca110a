"""A worker's process without a model, whose heart the tests listen to: ``hearts.py DATABASE WHAT``."""

import ctypes
import sys
import threading
from collections.abc import Callable

from openkontext.process import configure_logging
from openkontext.store import Store
from openkontext.worker.heart import Heart, Progress
from openkontext.worker.link import Link
from openkontext.worker.previews import Previews

STEP_TIMEOUT = 1


def main() -> None:
    configure_logging("info")
    store = Store.open(sys.argv[1])
    heart, claim = beating(store, sys.argv[2]), store.claim("worker")
    assert claim is not None
    heart.start()
    heart.follow(Progress(claim, STEP_TIMEOUT, 0.0, Previews(lambda image: True)))
    ACTIONS[sys.argv[2]]()


def beating(store: Store, what: str) -> Heart:
    return Heart(store, Link.from_environment(), fail if what == "fail" else report, lease=3)


def report(progress: Progress | None) -> None:
    """Report nothing."""


def fail(progress: Progress | None) -> None:
    raise ArithmeticError("a defect of the heartbeat itself")


def sleep() -> None:
    threading.Event().wait()


def hold() -> None:
    # Called through PyDLL the function keeps the interpreter's lock.
    ctypes.PyDLL(None).sleep(3600)


ACTIONS: dict[str, Callable[[], None]] = {"sleep": sleep, "hold": hold, "fail": sleep}

if __name__ == "__main__":
    main()

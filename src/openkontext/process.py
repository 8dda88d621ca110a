"""What every process of the service does the same: logging, and ending when its parent is gone."""

import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

PARENT = "OPENKONTEXT_PARENT_PID"


def configure_logging(level: str) -> None:
    """Log to standard error: JSON lines, or for people when it is a terminal."""
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@contextmanager
def die_with_parent() -> Iterator[None]:
    """Send this process SIGTERM when the supervisor that started it is gone, however it went (kill -9 included)."""
    parent = int(os.environ.get(PARENT, "0"))
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(0.5):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    if parent:
        threading.Thread(target=watch, name="parent-watch", daemon=True).start()
    yield
    stopping.set()


def raise_open_files() -> int:
    """Let this process open as many files, connections included, as it may; that number."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):
        # Some systems name a limit that they don't grant.
        pass
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

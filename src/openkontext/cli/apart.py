"""Work on a stranger's file in a child process, whose memory and time are bounded and whose death harms nobody."""

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


class Died(Exception):
    """The child came to no end: it wanted too much memory or time, or crashed; the message says which."""


def apart(work: Callable[[], str], *, memory: int, seconds: int) -> str:
    """What ``work`` returns, done in a child that gets ``memory`` more bytes (on Linux) and processor ``seconds``.

    Raises `Died`. For a process without other threads.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _do(work, writing, memory, seconds)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise Died("it takes too long" if _timed_out(status) else "it takes too much memory, or crashed the reader")
    return said.decode()


def _do(work: Callable[[], str], writing: int, memory: int, seconds: int) -> NoReturn:
    status = 1
    try:
        # Rust says on standard error why it aborts, in words for its programmers.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        _bound(memory, seconds)
        said = work().encode()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(said)
        status = 0
    finally:
        # Nothing of the parent's is flushed or cleaned up twice.
        os._exit(status)


def _bound(memory: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    usage = Path("/proc/self/statm")
    if usage.exists():
        most = int(usage.read_text().split()[0]) * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _timed_out(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU

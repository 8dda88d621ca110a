"""Thousands of connections that say nothing, to a gateway that may open fewer files than that."""

import contextlib
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service import environment, eventually

# So many files a gateway may open, of which it leaves 512 for all else.
FILES = 1024
CONNECTIONS = 3000


@pytest.fixture(autouse=True)
def _open_files() -> Iterator[None]:
    """This process holds the other ends."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (usual[1], usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, usual)


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, FILES))


@contextlib.contextmanager
def gateway(data: Path) -> Iterator[tuple[psutil.Process, int]]:
    """A gateway with few files, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "openkontext", "gateway", "--port", str(port)]
    with subprocess.Popen(command, env=environment(data, "nano", port=port), preexec_fn=few_files) as process:
        try:
            eventually(lambda: answers(port))
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def test_idle_connections_stop_nobody(tmp_path: Path):
    """Whoever comes is answered, at every stage; the gateway neither spins nor grows, and lets the oldest go."""
    with gateway(tmp_path) as (process, port), contextlib.ExitStack() as stack:
        for number in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            if number % 250 == 0:
                assert answers(port)
        assert answers(port)
        assert process.num_fds() <= FILES
        assert process.memory_info().rss < 400e6
        before, began = process.cpu_times(), time.monotonic()
        eventually(lambda: time.monotonic() - began > 2)
        after = process.cpu_times()
        assert after.user + after.system - before.user - before.system < 1.0

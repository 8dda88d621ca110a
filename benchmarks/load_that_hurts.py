"""What a client sees beside others that mean harm: `python benchmarks/load_that_hurts.py`.

Gateway and attacker are processes of their own; in this one an honest client polls, alone and then beside each attack.
For each: the poll's times, and the gateway's memory at its peak.
"""

import argparse
import contextlib
import multiprocessing
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

import httpx
import psutil

from openkontext.parts import open_store
from openkontext.settings import Settings

HOST = b"Host: gateway.test\r\n"
Attack = Callable[["Target", Event], None]
# Seconds between two bytes of those that are slow.
TRICKLE = 1.0
UNDER_WAY = 4.0


class Target:
    """A gateway's address, and a key for it."""

    def __init__(self, port: int, secret: str) -> None:
        self.port = port
        self.secret = secret
        self.url = f"http://127.0.0.1:{port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def post(self, framing: bytes) -> bytes:
        """The head of a submit with this key."""
        key = f"x-api-key: {self.secret}\r\ncontent-type: application/json\r\n".encode()
        return b"POST /v2/flux-kontext-dev HTTP/1.1\r\n" + HOST + key + framing + b"\r\n\r\n"


class Gateway:
    """A running one."""

    def __init__(self, folder: Path) -> None:
        store = open_store(Settings(data=folder))
        account = store.create_account("honest")
        secret = store.create_key(account.id, rpm=None)[1]
        store.close()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.target = Target(free.getsockname()[1], secret)
        command = [sys.executable, "-m", "openkontext", "gateway", "--port", str(self.target.port)]
        command += ["--poll-limit", "0", "--data", str(folder)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not _answers(self.target):
            time.sleep(0.05)

    def memory(self) -> float:
        """Resident, in MB."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6


def _again(target: Target, stop: Event, attack: Callable[[socket.socket], None]) -> None:
    while not stop.is_set():
        with contextlib.suppress(OSError), target.connect() as connection:
            attack(connection)


def header_flood(target: Target, stop: Event) -> None:
    """Headers without end, on one connection after another."""

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"GET / HTTP/1.1\r\n" + HOST)
        while not stop.is_set():
            connection.sendall(b"a: " + b"b" * 8000 + b"\r\n")

    _again(target, stop, flood)


def value_flood(target: Target, stop: Event) -> None:
    """One header that doesn't end."""

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"a: ")
        while not stop.is_set():
            connection.sendall(b"b" * 65536)

    _again(target, stop, flood)


def pipelining(target: Target, stop: Event) -> None:
    """A thousand requests in one go."""

    def flood(connection: socket.socket) -> None:
        connection.sendall((b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n") * 1000)
        while connection.recv(65536):
            pass

    _again(target, stop, flood)


def endless_body(target: Target, stop: Event) -> None:
    """Chunked bodies of 10 GB, by someone who has a key."""
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"

    def flood(connection: socket.socket) -> None:
        connection.sendall(target.post(b"Transfer-Encoding: chunked"))
        for _ in range(10_000_000_000 // 65536):
            connection.sendall(chunk)
            if stop.is_set():
                return

    _again(target, stop, flood)


def slow_bodies(target: Target, stop: Event) -> None:
    """Five hundred bodies, of each of which a byte comes now and then."""
    _hold(target, stop, 500, target.post(b"Content-Length: 30000000") + b"{", b" ")


def slow_heads(target: Target, stop: Event) -> None:
    """Five hundred heads, likewise."""
    _hold(target, stop, 500, b"GET / HTTP/1.1\r\n" + HOST + b"a: ", b"b")


def idle(target: Target, stop: Event, *, count: int) -> None:
    """So many connections that say nothing."""
    _hold(target, stop, count, b"", b"")


def _hold(target: Target, stop: Event, count: int, first: bytes, then: bytes) -> None:
    """Keep ``count`` connections: those that are closed are opened again."""
    held: list[socket.socket] = []
    try:
        while not stop.wait(TRICKLE):
            while len(held) < count and not stop.is_set():
                with contextlib.suppress(OSError):
                    connection = target.connect()
                    connection.sendall(first)
                    connection.setblocking(False)
                    held.append(connection)
            held = [connection for connection in held if _is_open(connection, then)]
    finally:
        for connection in held:
            connection.close()


def _is_open(connection: socket.socket, then: bytes) -> bool:
    try:
        connection.send(then)
        alive = connection.recv(4096, socket.MSG_PEEK) != b"" and connection.recv(4096) == b""
    except BlockingIOError:
        return True
    except OSError:
        alive = False
    connection.close()
    return alive


ATTACKS: dict[str, Attack | None] = {
    "nobody": None,
    "4,000 idle connections": partial(idle, count=4000),
    "6,000 idle connections": partial(idle, count=6000),
    "500 slow heads": slow_heads,
    "500 slow bodies": slow_bodies,
    "a flood of headers": header_flood,
    "a header without end": value_flood,
    "1,000 pipelined requests": pipelining,
    "endless bodies": endless_body,
}


@contextlib.contextmanager
def attacked(target: Target, attack: Attack | None) -> Iterator[None]:
    """While the block runs, the attack does."""
    if attack is None:
        yield
        return
    stop = multiprocessing.Event()
    process = multiprocessing.Process(target=attack, args=(target, stop))
    process.start()
    # The attack gets under way, with all its connections.
    time.sleep(UNDER_WAY)
    try:
        yield
    finally:
        stop.set()
        process.join()


def poll(gateway: Gateway, seconds: float) -> tuple[list[float], int, float]:
    """Times of an honest client's polls in ms, a new connection for each tenth; how many failed; the most memory."""
    times, failed, most = [], 0, 0.0
    target = gateway.target
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with httpx.Client(base_url=target.url, headers={"x-api-key": target.secret}, timeout=30) as http:
            for _ in range(10):
                began = time.perf_counter()
                try:
                    answer = http.get("/v2/requests/6f0e4f0e-7a53-4d0a-9d0a-2f6f3f8f9b11")
                    failed += answer.status_code != 404
                except httpx.TransportError:
                    failed += 1
                times.append(1000 * (time.perf_counter() - began))
        most = max(most, gateway.memory())
    return times, failed, most


def main() -> None:
    """Print a row for each attack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of polling for each")
    seconds = parser.parse_args().seconds
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| beside | polls | failed | p50 | p99 | memory |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder))
        try:
            for name, attack in ATTACKS.items():
                with attacked(gateway.target, attack):
                    times, failed, memory = poll(gateway, seconds)
                cuts = statistics.quantiles(times, n=100)
                row = (name, len(times), failed, f"{cuts[49]:.0f} ms", f"{cuts[98]:.0f} ms", f"{memory:.0f} MB")
                print("|", " | ".join(map(str, row)), "|", flush=True)
        finally:
            gateway.process.terminate()
            gateway.process.wait()


def _answers(target: Target) -> bool:
    try:
        return httpx.get(f"{target.url}/healthz").is_success
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()

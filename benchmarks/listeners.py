"""What listeners of events cost a gateway: its CPU time and memory with none and with many, while an edit runs.

    python benchmarks/listeners.py [--listeners 500] [--seconds 10]

Starts `openkontext gateway` in a temporary folder. A simulated worker notes a step four times a second, and every other
time a preview of the size that FLUX.1 Kontext's have. "One request": all follow the one that runs. "Many requests":
each follows one of its own, of which one runs and the others wait. Run it on an otherwise idle machine.
"""

import argparse
import asyncio
import itertools
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil
from PIL import Image

from openkontext.settings import Settings
from openkontext.store import Key, Store
from openkontext.worker.previews import data_uri

BEAT = 0.25
STEPS = 1_000_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listeners", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measure")
    arguments = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        store = Store.open(Settings(data=data).database)
        store.migrate()
        key, secret = new_key(store)
        requests = [submit(store, key) for _ in range(arguments.listeners)]
        with gateway(data) as (process, port), beating(store):
            measure(process, port, secret, requests, arguments.seconds)
        store.close()


def print_machine() -> None:
    """The machine and the versions that matter."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("fastapi", "uvicorn", "sqlalchemy"))
    load = os.getloadavg()[0]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {load:.1f}; {versions}")


def new_key(store: Store) -> tuple[Key, str]:
    """A key without limits, and its secret."""
    account = store.create_account("benchmark")
    store.add_credits(account.id, 10**12)
    return store.create_key(account.id, rpm=None, max_queued=None)


def submit(store: Store, key: Key) -> str:
    """A request's id."""
    source = {"kind": "url", "url": "https://example.com/a.png"}
    return store.submit(key, {"prompt": "make it snow"}, source, price=40_000, weight=1, steps=STEPS).job.id


@contextmanager
def gateway(data: Path) -> Iterator[tuple[psutil.Process, int]]:
    """A gateway's process and port."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        command = [sys.executable, "-m", "openkontext", "gateway", "--fd", str(listener.fileno()), "--data", str(data)]
        options = {"pass_fds": [listener.fileno()], "env": os.environ | {"OPENKONTEXT_LOG_LEVEL": "error"}}
        process = subprocess.Popen(command, **options)
        port = listener.getsockname()[1]
    try:
        httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60).raise_for_status()
        yield psutil.Process(process.pid), port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def beating(store: Store) -> Iterator[None]:
    """A worker that takes the first request and tells of its steps until the block is left."""
    claim, stop = store.claim("worker"), threading.Event()
    assert claim
    store.report_worker("worker", state="busy", checkpoint="benchmark", max_area=1024**2, job_id=claim.job_id)
    previews = [preview(noise) for noise in (10, 11)]

    def beat() -> None:
        for step in itertools.count(1):
            image = previews[step // 2 % 2] if step % 2 == 0 else None
            store.beat(claim, step=step, steps=STEPS, preview=image)
            if stop.wait(BEAT):
                return

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def preview(noise: float) -> str:
    """128 x 128, with as much detail as a photograph's."""
    return data_uri(Image.effect_noise((128, 128), noise).convert("RGB"))


def measure(process: psutil.Process, port: int, secret: str, requests: list[str], seconds: float) -> None:
    """The three cases, the first of which the others are compared with."""
    count = len(requests)
    cases: dict[str, list[str]] = {
        "no listener": [],
        f"{count} listeners, one request": [requests[0]] * count,
        f"{count} listeners, many requests": requests,
    }
    base = None
    for name, followed in cases.items():
        cpu, memory, events, size = asyncio.run(listen(process, port, secret, followed, seconds))
        base = base or (cpu, memory)
        each = f", {1e3 * (memory - base[1]) / len(followed):.0f} kB a listener" if followed else ""
        print(f"{name}: {100 * cpu:.1f} % of a core, {cpu / base[0]:.1f} times that without; {memory:.0f} MB{each};")
        print(f"  {events / seconds:,.0f} events and {size / seconds / 1e6:.2f} MB a second")


async def listen(
    process: psutil.Process, port: int, secret: str, followed: list[str], seconds: float
) -> tuple[float, float, int, int]:
    """CPU seconds a second, resident MB, events and bytes, once all listeners are there."""
    received = [0, 0]
    there = asyncio.Semaphore(0)

    def on_chunk(chunk: bytes) -> None:
        received[0] += chunk.count(b"event: ")
        received[1] += len(chunk)

    listeners = [asyncio.create_task(follow(port, secret, each, there.release, on_chunk)) for each in followed]
    for _ in listeners:
        await there.acquire()
    await asyncio.sleep(2)  # the first events, and what connecting cost
    received[:] = 0, 0
    before = busy(process)
    await asyncio.sleep(seconds)
    spent, memory = busy(process) - before, process.memory_info().rss / 1e6
    for listener in listeners:
        listener.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)
    return spent / seconds, memory, *received


def busy(process: psutil.Process) -> float:
    """CPU seconds that it has used."""
    times = process.cpu_times()
    return times.user + times.system


async def follow(
    port: int, secret: str, request_id: str, there: Callable[[], None], on_chunk: Callable[[bytes], None]
) -> None:
    """One listener, as bare as can be: on the same cores it must not stand in the gateway's way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (f"GET /v2/requests/{request_id}/events HTTP/1.1", "host: 127.0.0.1", f"x-api-key: {secret}", "", "")
    writer.write("\r\n".join(head).encode())
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        there()
        while chunk := await reader.read(65536):
            on_chunk(chunk)
    finally:
        writer.close()


if __name__ == "__main__":
    main()

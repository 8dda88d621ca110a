"""What the service costs beside the model: overhead of an edit, time to a worker, polls per second, memory.

    python benchmarks/service.py [--model nano] [--edits 30] [--seconds 5]

Starts `openkontext serve` in a temporary folder and an empty FastAPI route beside it, both over one process each.
Run it on an otherwise idle machine.
"""

import argparse
import asyncio
import base64
import io
import json
import multiprocessing
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil
from PIL import Image, ImageDraw

SLUG = "flux-kontext-dev"
# Seconds between polls: more often, and the polls take the cores from the model.
POLL = 0.005


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--edits", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for each rate of polls")
    arguments = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        started = time.monotonic()
        serve = start(data, arguments.model)
        try:
            url = await_ready(serve)
            print(f"serve: ready after {time.monotonic() - started:.1f} s (a first start: database, key, model)")
            with httpx.Client(base_url=url, headers={"x-api-key": (data / "api-key").read_text().strip()}) as http:
                measure_edits(http, arguments.edits)
                measure_polls(http, url, arguments.seconds)
            print_memory(serve.pid)
        finally:
            serve.send_signal(signal.SIGINT)
            serve.wait(60)


def print_machine() -> None:
    """The machine and the versions that matter."""
    names = ("torch", "fastapi", "uvicorn", "sqlalchemy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    load = os.getloadavg()[0]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {load:.1f}; {versions}")


def start(data: Path, model: str) -> subprocess.Popen[str]:
    """A service on a free port."""
    command = [sys.executable, "-m", "openkontext", "serve", "--port", "0", "--data", str(data), "--model", model]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OPENKONTEXT_LOG_LEVEL": "error"}
    )


def await_ready(serve: subprocess.Popen[str]) -> str:
    """Its address, once it is ready."""
    assert serve.stderr
    for line in serve.stderr:
        if line.startswith("ready"):
            return line.split()[1]
    raise SystemExit(f"serve ended with status {serve.wait()}")


def edit(steps: int) -> dict[str, object]:
    """A request with a picture of 512 x 512."""
    image = Image.new("RGB", (512, 512), "#3366aa")
    ImageDraw.Draw(image).ellipse((150, 100, 350, 400), fill="#ffcc00")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"input_image": uri, "prompt": "make it snow", "num_inference_steps": steps}


def measure_edits(http: httpx.Client, count: int) -> None:
    """Overhead of the service on one edit, as the client sees it, and submit to start, as the store records it."""
    for checked in (True, False):
        overheads, waits, engines = [], [], []
        body = json.dumps(edit(4) | {"disable_safety_checker": not checked}).encode()
        for _ in range(count):
            began = time.monotonic()
            job = http.post(f"/v2/{SLUG}", content=body).json()
            while http.get(job["status_url"]).json()["status"] != "COMPLETED":
                time.sleep(POLL)
            took = time.monotonic() - began
            metrics = http.get(job["response_url"]).json()["metrics"]
            overheads.append(took - metrics["inference_time"])
            waits.append(metrics["queue_time"])
            engines.append(metrics["inference_time"])
        print(f"{count} edits of 4 steps, safety checker {'on' if checked else 'off'}:")
        print(f"  overhead of the service  {spread(overheads)}")
        print(f"  submit to worker starts  {spread(waits)}")
        print(f"  the engine itself        {spread(engines)}")


def spread(seconds: list[float]) -> str:
    """Median and 95th percentile in milliseconds."""
    ordered = sorted(seconds)
    return f"median {statistics.median(ordered) * 1e3:7.1f} ms   p95 {ordered[int(len(ordered) * 0.95)] * 1e3:7.1f} ms"


def measure_polls(http: httpx.Client, url: str, seconds: float) -> None:
    """Status polls of one gateway process against an empty FastAPI route, in turn, in one run."""
    job = http.post(f"/v2/{SLUG}", json=edit(4)).json()
    while http.get(job["status_url"]).json()["status"] != "COMPLETED":
        time.sleep(0.01)
    key = http.headers["x-api-key"]
    empty_url, stop = start_empty()
    try:
        ours, theirs = [], []
        for _ in range(3):
            theirs.append(rate(f"{empty_url}/", key, seconds / 3))
            ours.append(rate(job["status_url"].replace("localhost", "127.0.0.1"), key, seconds / 3))
    finally:
        stop()
    polls, empty = statistics.median(ours), statistics.median(theirs)
    print(f"status polls {polls:,.0f} /s; an empty FastAPI route {empty:,.0f} /s; ratio {polls / empty:.2f}")


def start_empty() -> tuple[str, Callable[[], None]]:
    """A server with one empty JSON route, run as the gateway is."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("fork").Process(target=serve_empty, args=(listener,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    httpx.get(url)
    return url, process.terminate


def serve_empty(listener: object) -> None:
    """The other side of the comparison."""
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/")
    async def empty() -> dict[str, str]:
        return {}

    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def rate(url: str, key: str, seconds: float, connections: int = 16) -> float:
    """Requests per second over keep-alive connections; the same bare client for both sides."""
    return asyncio.run(_rate(url, key, seconds, connections))


async def _rate(url: str, key: str, seconds: float, connections: int) -> float:
    parts = httpx.URL(url)
    head = (f"GET {parts.raw_path.decode()} HTTP/1.1", f"host: {parts.host}:{parts.port}", f"x-api-key: {key}")
    request = "\r\n".join((*head, "", "")).encode()
    deadline = time.monotonic() + seconds
    counts = await asyncio.gather(*(_poll(parts, request, deadline) for _ in range(connections)))
    return sum(counts) / seconds


async def _poll(url: httpx.URL, request: bytes, deadline: float) -> int:
    reader, writer = await asyncio.open_connection(url.host, url.port)
    count = 0
    while time.monotonic() < deadline:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        count += 1
    writer.close()
    return count


def print_memory(pid: int) -> None:
    """Resident memory of each process."""
    parent = psutil.Process(pid)
    for process in (parent, *parent.children()):
        role = next((word for word in ("gateway", "worker") if word in process.cmdline()), "supervisor")
        print(f"{role:10} {process.memory_info().rss / 1e6:6.0f} MB resident")


if __name__ == "__main__":
    main()

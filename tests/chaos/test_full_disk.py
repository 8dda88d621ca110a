"""A disk that fills up under the service: it says so, loses nothing, and goes on as soon as there is room."""

import base64
import io
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import httpx
import psutil
import pytest
from PIL import Image

from tests.chaos.conftest import LEASE
from tests.chaos.edits import LONGEST, PRICE, follow, submit
from tests.service import Service, eventually

# MB. The gateway leaves 64 of them for those that run, so a score of pictures fits.
DISK = 100
# So little that the database's log can't grow.
CRAMPED = 100_000
_MOUNT = f'mount -t tmpfs -o size={DISK}m tmpfs "$0" && exec "$@"'


def noise() -> str:
    """A picture of 1.5 MB as a data URI."""
    file = io.BytesIO()
    Image.frombytes("RGB", (700, 700), random.Random(1).randbytes(700 * 700 * 3)).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def namespace() -> list[str] | None:
    """The command that runs another with mounts of its own, where this system lets us."""
    for rights in ([], ["--map-root-user"]):
        command = ["unshare", *rights, "--mount"]
        tried = subprocess.run([*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
        if tried.returncode == 0:
            return command
    return None


class SmallDisk:
    """The service's data lies on a disk of its own, which only it sees."""

    def __init__(self, service: Service) -> None:
        self._enter = ["nsenter", "--target", str(service.process.pid), "--mount"]
        if os.geteuid() != 0:
            self._enter += ["--user", "--preserve-credentials"]
        self._data = service.data
        # Through this address its files can be read and written, but SQLite would not stay on it.
        service.data = Path(f"/proc/{service.process.pid}/root{service.data}")
        self._junk = service.data / "junk"

    def fill(self) -> None:
        with self._junk.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            write_on(file)

    def verify(self) -> str:
        """What the books say, read where the service is."""
        command = [*self._enter, sys.executable, "-m", "openkontext", "ledger", "verify", "--data", str(self._data)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def free(self) -> None:
        self._junk.unlink()


def write_on(file: IO[bytes]) -> None:
    while True:
        file.write(bytes(4096))


class SmallFiles:
    """Where no disk can be had, no file may grow: the same to whoever writes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def fill(self) -> None:
        self._limit(CRAMPED)

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def verify(self) -> str:
        command = [sys.executable, "-m", "openkontext", "ledger", "verify", "--data", str(self._service.data)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def _limit(self, size: int) -> None:
        for child in psutil.Process(self._service.process.pid).children():
            child.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def on_a_small_disk(model: Path, folder: Path) -> Iterator[tuple[Service, SmallDisk | SmallFiles]]:
    """A service, and what fills its disk."""
    data = folder / "data"
    data.mkdir()
    command = namespace()
    under = [*command, "sh", "-c", _MOUNT, str(data)] if command else []
    with ExitStack() as stack:
        service = Service(data, model, under=under, lease=LEASE)
        stack.callback(service.close)
        eventually(lambda: (Path(f"/proc/{service.process.pid}/root") / "proc").exists())
        stack.enter_context(service)
        yield service, SmallDisk(service) if command else SmallFiles(service)


def credits(client: httpx.Client) -> float:
    """What the account can spend."""
    return float(client.get("/v1/get-user-credits").json()["credits"])


def refused(answer: httpx.Response) -> bool:
    """Whether it is the 503 of a disk without room; everything else must be an acceptance."""
    if answer.status_code == 200:
        return False
    assert (503, "unavailable") == (answer.status_code, answer.json()["code"]), answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    return True


def test_a_disk_that_fills_up(slow_model: Path, tmp_path: Path):
    """Each submit is accepted and kept or a 503; what ran is neither lost nor charged twice; then all goes on."""
    picture = {"input_image": noise(), "prompt": "make it snow", "num_inference_steps": 4}
    with on_a_small_disk(slow_model, tmp_path) as (service, disk), service.client() as client:
        before = credits(client)
        running = submit(client, LONGEST)
        eventually(lambda: client.get(f"/v2/requests/{running}").json()["status"] == "PROCESSING", within=120)
        accepted = [running]
        for _ in range(40):
            answer = client.post("/v2/flux-kontext-dev", json=picture)
            if refused(answer):
                break
            accepted.append(answer.json()["request_id"])
        disk.fill()
        assert refused(client.post("/v2/flux-kontext-dev", json=picture))
        assert refused(client.post("/upload-asset", json={"data_urls": [picture["input_image"]]}))
        assert "disk is full" in (text := client.get("/readyz").text) or "storage failed" in text
        assert {200, 422} >= {client.get(f"/v2/requests/{each}").status_code for each in accepted}
        # Not a moment of it, but for as long as an edit takes and a lease lasts.
        eventually(lambda: "store unavailable" in service.output or "files unavailable" in service.output)
        disk.free()
        ended = {each: follow(client, each)[1] for each in accepted}
        done = [each for each, body in ended.items() if body["status"] == "COMPLETED"]
        assert {"unavailable"} >= {body["code"] for body in ended.values() if body["status"] == "FAILED"}
        assert pytest.approx(before - len(done) * PRICE / 1e6) == credits(client)
        assert "every balance equals its sum" in disk.verify()
        assert set(accepted) == {path.name for path in (service.data / "blobs" / "inputs").iterdir()}
        for each in accepted:
            assert client.delete(f"/v2/requests/{each}").status_code in (200, 204)
        eventually(lambda: client.get("/readyz").status_code == 200)
        assert "COMPLETED" == follow(client, submit(client))[1]["status"]

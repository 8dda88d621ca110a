"""Storage that has no room or doesn't answer: every refusal is a clean 503, and nothing stays half-done."""

import asyncio
import io
import random
import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

from openkontext.gateway.janitor import Janitor
from openkontext.media.blobs import Blobs
from openkontext.store import input_key
from tests.gateway.harness import EDIT, SUBMIT, Gateway, Live, assert_error, data_uri, picture

FLOOD = 120
ID = "6f0e4f0e-7a53-4d0a-9d0a-2f6f3f8f9b11"


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program holds the write lock."""
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    yield
    holder.close()


def inputs(live: Live) -> set[str]:
    root = Path(live.services.settings.blobs)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def consistent(live: Live, accepted: list[str]) -> bool:
    """The books balance, and there is a picture for each accepted request and for nothing else."""
    store = live.services.store
    holds = [entry.job_id for entry in store.ledger(live.account.id) if entry.kind == "hold"]
    assert (sorted(accepted), []) == (sorted(filter(None, holds)), store.verify_ledger())
    return {input_key(job_id) for job_id in accepted} == inputs(live)


def flooding(live: Live) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=live.url, headers={"x-api-key": live.secret}, timeout=60, limits=limits)


def settled(answers: list[httpx.Response], code: str) -> list[str]:
    """The ids that were accepted; every other answer is a 503 of ``code`` that says when to come back."""
    for answer in answers:
        if answer.status_code != 200:
            assert_error(answer, 503, code)
            assert int(answer.headers["Retry-After"]) >= 1
    return [answer.json()["request_id"] for answer in answers if answer.status_code == 200]


async def test_a_locked_database_stops_no_reader(serve, monkeypatch):
    """While submits wait for the lock, others poll; all that waited are 503, and the next after it is accepted."""
    monkeypatch.setattr("openkontext.store.turn.STUCK_SECONDS", 0.2)
    live = serve()
    live.services.store.settings = replace(live.services.store.settings, busy_timeout_seconds=6.0)
    async with flooding(live) as http:
        first = (await http.post(SUBMIT, json=EDIT)).json()["request_id"]
        with locked(live.services.settings.data / "openkontext.db"):
            waiting = [asyncio.ensure_future(http.post(SUBMIT, json=EDIT)) for _ in range(FLOOD // 2)]
            began = time.monotonic()
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            # Most need not wait as long as a few do, which would keep the threads from all others.
            assert time.monotonic() - began < 6.0
            assert (await http.get("/healthz")).status_code == 200
            # None of these is cached: each takes a thread.
            polls = [await http.get(f"/v2/requests/{ID[:-2]}{number}") for number in range(10, 30)]
            assert {404} == {answer.status_code for answer in polls}
            assert (await http.get(f"/v2/requests/{first}")).json()["status"] == "QUEUED"
            assert not all(each.done() for each in waiting)
            assert settled(await asyncio.gather(*waiting), "unavailable") == []
            ready = await http.get("/readyz")
        assert "its storage failed" in assert_error(ready, 503, "unavailable")["error"]
        again = await http.post(SUBMIT, json=EDIT)
    assert consistent(live, [first, *settled([again], "none")])


async def test_a_flood_fills_the_queue_and_no_more(serve):
    """Of many submits at once as many are accepted as may wait; none of the others left a thing."""
    live = serve(queue_limit=25)
    async with flooding(live) as http:
        accepted = settled(await asyncio.gather(*(http.post(SUBMIT, json=EDIT) for _ in range(FLOOD))), "queue_full")
    assert (25, 25) == (len(accepted), live.services.store.queue_depth())
    assert consistent(live, accepted)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may be larger: a write beyond fails as on a full disk."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def write_ahead_log(gateway: Gateway) -> int:
    return (gateway.services.settings.data / "openkontext.db-wal").stat().st_size


async def test_a_log_that_cannot_grow(gateway):
    """The database's own files have no room: what was submitted is undone, and once there is room all goes on."""
    await gateway.submit()
    accepted = 1
    with largest_file(write_ahead_log(gateway) + 20_000):
        while (response := await gateway.http.post(SUBMIT, json=EDIT)).status_code == 200:
            accepted += 1
        assert_error(response, 503, "unavailable")
        assert "Retry-After" in response.headers
        assert gateway.services.store.queue_depth() == accepted
    await gateway.submit()
    accepted += 1
    assert (accepted, accepted) == (gateway.services.store.queue_depth(), len(gateway.blobs))
    assert (10 - accepted * 0.04, []) == (pytest.approx(gateway.balance), gateway.services.store.verify_ledger())


@pytest.mark.parametrize("as_form", [False, True])
async def test_a_picture_that_has_no_room(gateway, as_form):
    """The picture itself doesn't fit, on its way in or where it is kept: nothing of it is left."""
    large = large_picture()
    with largest_file(1_500_000):
        if as_form:
            files = {"input_image": large}
            response = await gateway.http.post(SUBMIT, data={"prompt": "make it snow"}, files=files)
        else:
            response = await gateway.http.post(SUBMIT, json=EDIT | {"input_image": data_uri(large)})
    assert_error(response, 503, "unavailable")
    assert (set(), 10) == (gateway.blobs, gateway.balance)


async def test_an_upload_that_has_no_room(gateway):
    """Neither of several uploads is kept where one has no room, or at least none without its record."""
    with largest_file(1_500_000):
        response = await gateway.http.post("/upload-asset", files=[("a", picture()), ("b", large_picture())])
    assert_error(response, 503, "unavailable")
    assert [key for key in gateway.blobs if gateway.services.store.unknown_blobs([key])] == []


def large_picture() -> bytes:
    """Of 2.2 MB, since noise can't be compressed."""
    file = io.BytesIO()
    Image.frombytes("RGB", (1000, 750), random.Random(1).randbytes(1000 * 750 * 3)).save(file, "PNG")
    return file.getvalue()


async def test_a_disk_keeps_a_reserve(gateway):
    """Before a disk is full nothing more is taken in, so that what runs can end; it says so, until there is room."""
    blobs = gateway.services.blobs
    before = await gateway.submit()
    gateway.services.blobs = Blobs.open(gateway.services.settings.blobs, reserve=10**18)
    assert_error(await gateway.http.post(SUBMIT, json=EDIT), 503, "unavailable")
    assert_error(await gateway.http.post("/upload-asset", files={"a": picture()}), 503, "unavailable")
    assert assert_error(await gateway.http.get("/readyz"), 503, "unavailable")["error"] == "Not ready: its disk is full"
    assert (await gateway.http.get(f"/v2/requests/{before['request_id']}")).status_code == 200
    gateway.services.blobs = blobs
    gateway.worker.complete()
    await gateway.submit()
    assert gateway.balance == pytest.approx(9.92)


async def test_orphans_are_swept(gateway):
    """A picture whose submit or upload was never committed goes once it is old; all others stay."""
    blobs = gateway.services.blobs
    await gateway.submit()
    await gateway.completed()
    await gateway.http.post("/upload-asset", files={"a": picture()})
    known = gateway.blobs
    blobs.put(input_key(ID), b"of a submit")
    blobs.put("uploads/0123456789abcdef/0.png", b"of an upload")
    root = Path(gateway.services.settings.blobs)
    (root / "inputs" / ".0123456789abcdef.part").write_bytes(b"half of one")
    janitor = Janitor(gateway.services)
    janitor.sweep(older_than=time.time() - 3600)
    assert len(gateway.blobs) == len(known) + 3
    janitor.sweep(older_than=time.time() + 1)
    assert gateway.blobs == known

"""Following a request by its events."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, NamedTuple

import httpx
import pytest
import sqlalchemy as sa
from fastapi import Request

from openkontext.contract.sizes import output_size
from openkontext.gateway.events import Shown, stream
from openkontext.gateway.pace import Fleet, Pace, eta
from openkontext.store import StoreUnavailable, Timing, WorkerRow
from openkontext.store.standings import Standing
from tests.gateway.harness import EDIT, SUBMIT, Gateway, Live, assert_error, soon

PREVIEW = "data:image/jpeg;base64,AAAA"
NEVER = 3600.0


class Event(NamedTuple):
    kind: str
    data: Any
    id: str | None


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    """The events of a stream; comments and the reconnection time are passed over."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif "event" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}


def path(request_id: str) -> str:
    return f"/v2/requests/{request_id}/events"


@contextmanager
def listening(http: httpx.Client, request_id: str, last: str | None = None) -> Iterator[Iterator[Event]]:
    """The events of a request as they come in over a socket."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with http.stream("GET", path(request_id), headers=headers) as response:
        assert response.status_code == 200
        yield parsed(response.iter_lines())


def submit(live: Live, http: httpx.Client) -> str:
    request_id: str = http.post(SUBMIT, json=EDIT).json()["request_id"]
    return request_id


def collect(events: Iterator[Event], count: int) -> list[tuple[str, Any]]:
    """The next events, without their ids."""
    return [next(events)[:2] for _ in range(count)]


def progress(step: int, eta_seconds: float | None = None, steps: int = 4) -> tuple[str, dict[str, Any]]:
    return "progress", {"step": step, "steps": steps, "eta_seconds": eta_seconds}


def status(name: str, position: int | None = None) -> tuple[str, dict[str, Any]]:
    return "status", {"status": name, "queue_position": position}


def test_a_request_from_the_queue_to_its_end(live):
    """Position, start, steps, previews; and the end is the body that its address answers."""
    with live.http() as http, listening(http, request_id := submit(live, http)) as events:
        assert collect(events, 2) == [status("QUEUED", 1), progress(0)]
        claim = live.worker.take()
        assert collect(events, 2) == [status("PROCESSING"), progress(0)]
        live.services.store.beat(claim, step=1, steps=4, preview=PREVIEW)
        assert collect(events, 2) == [progress(1), ("preview", {"step": 1, "image": PREVIEW})]
        live.worker.complete(claim)
        kind, body, _ = next(events)
        assert (kind, body) == ("done", http.get(f"/v2/requests/{request_id}").json())
        assert body["status"] == "COMPLETED"
        assert list(events) == []


def test_the_place_in_the_queue_moves_up(live):
    """Each time somebody ahead is taken up, and not at their steps."""
    with live.http() as http:
        submit(live, http)
        with listening(http, submit(live, http)) as events:
            assert collect(events, 2) == [status("QUEUED", 2), progress(0)]
            first = live.worker.take()
            assert collect(events, 2) == [status("QUEUED", 1), progress(0)]
            live.services.store.beat(first, step=1, steps=4)
            live.worker.complete(first)
            live.worker.take()
            assert next(events)[:2] == status("PROCESSING")


def test_a_failure_is_the_end_too(live):
    """With the body of the 422."""
    with live.http() as http, listening(http, request_id := submit(live, http)) as events:
        collect(events, 2)
        http.delete(f"/v2/requests/{request_id}")
        kind, body, _ = next(events)
        assert (kind, body) == ("done", http.get(f"/v2/requests/{request_id}").json())
        assert body["code"] == "cancelled"


def test_a_listener_that_comes_back_sees_nothing_twice(live):
    """Wherever its stream broke off, it goes on behind the last event that it had."""
    with live.http() as http:
        request_id = submit(live, http)
        claim = live.worker.take()
        live.services.store.beat(claim, step=2, steps=4, preview=PREVIEW)
        with listening(http, request_id) as events:
            shown = [next(events) for _ in range(3)]
        assert [event.kind for event in shown] == ["status", "progress", "preview"]
        for seen, rest in ((shown[0], ["progress", "preview"]), (shown[1], ["preview"]), (shown[2], [])):
            with listening(http, request_id, seen.id) as events:
                assert [event.kind for event in (next(events) for _ in rest)] == rest
        with listening(http, request_id, shown[2].id) as events:
            live.services.store.beat(claim, step=3, steps=4)
            assert next(events).data["step"] == 3
            live.worker.complete(claim)
            assert next(events).kind == "done"


@pytest.mark.parametrize("last", ["", "7", "another/0/0/1/2/1/2", "{id}/0/0/1", "{id}/0/0/1/2/1/x", "{id}/done", "é"])
async def test_an_id_that_is_not_of_this_stream_starts_it_anew(gateway, last):
    """Foreign, cut off, made up, or of the end, which always comes."""
    request_id = (await gateway.completed())["request_id"]
    headers = {"Last-Event-ID": last.format(id=request_id).encode()}
    events = parsed(iter((await gateway.http.get(path(request_id), headers=headers)).text.splitlines()))
    assert [event.kind for event in events] == ["done"]
    assert Shown.until(last.format(id=request_id), request_id) == Shown()


async def test_an_ended_request_is_done_at_once(gateway):
    """Nothing else is sent of it, and nothing is to be kept by caches or proxies."""
    body = await gateway.completed()
    response = await gateway.http.get(path(body["request_id"]))
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-store", "no")
    assert response.text.startswith("retry: 1000\n\n")
    assert [event[:2] for event in parsed(iter(response.text.splitlines()))] == [("done", body)]


async def test_unknown_requests_have_no_events(gateway):
    """The same 404 as of a poll: of one that isn't, and of another account's; and no key is 401."""
    request_id = (await gateway.submit())["request_id"]
    assert_error(await gateway.http.get(path("unknown")), 404, "not_found")
    other = gateway.new_key(gateway.new_account("other"))
    assert_error(await gateway.http.get(path(request_id), headers={"x-api-key": other}), 404, "not_found")
    assert_error(await gateway.http.get(path(request_id), headers={"x-api-key": ""}), 401, "missing_key")


@pytest.fixture
def follow(gateway: Gateway) -> Callable[..., AsyncGenerator[bytes]]:
    """The stream of a request in this process, event by event."""

    def follow(request_id: str, shown: Shown = Shown(), **options: Any) -> AsyncGenerator[bytes]:  # noqa: B008
        scope = {"type": "http", "app": gateway.app, "headers": [(b"host", b"gateway.test")], "scheme": "http"}
        scope |= {"method": "GET", "path": "/", "query_string": b"", "server": ("gateway.test", 80)}
        key = options.pop("key", gateway.key)
        return split(stream(Request(scope), request_id, key, shown, **options))

    return follow


async def split(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same, an event at a time."""
    async with aclosing(chunks):
        async for chunk in chunks:
            for part in chunk.split(b"\n\n")[:-1]:
                yield part + b"\n\n"


async def next_event(chunks: AsyncIterator[bytes]) -> Event:
    """The next event of a stream in this process."""
    async with asyncio.timeout(20):
        async for chunk in chunks:
            for event in parsed(iter([*chunk.decode().splitlines(), ""])):
                return event
    raise AssertionError("the stream ended")


async def test_a_retry_starts_the_steps_again(gateway, follow):
    """It stays PROCESSING, and the lost attempt's preview is not shown again."""
    request_id = (await gateway.submit())["request_id"]
    store, claim = gateway.services.store, gateway.worker.take()
    store.beat(claim, step=3, steps=4, preview=PREVIEW)
    async with aclosing(follow(request_id)) as chunks:
        assert [(await next_event(chunks)).kind for _ in range(3)] == ["status", "progress", "preview"]
        store.release(claim)
        again = gateway.worker.take()
        assert (await next_event(chunks))[:2] == progress(0)
        async with aclosing(follow(request_id)) as others:
            assert [(await next_event(others))[:2] for _ in range(2)] == [status("PROCESSING"), progress(0)]
            store.beat(again, step=1, steps=4, preview=PREVIEW)
            for each in (chunks, others):
                assert (await next_event(each))[:2] == progress(1)
                assert (await next_event(each)).data == {"step": 1, "image": PREVIEW}


async def test_erased_while_listening(gateway, follow):
    """A result that nobody can read any more ends in an error."""
    request_id = (await gateway.submit())["request_id"]
    async with aclosing(follow(request_id)) as chunks:
        await next_event(chunks)
        # Without letting the stream look in between.
        gateway.worker.complete()
        gateway.services.store.erase(request_id, gateway.account.id)
        await next_event(chunks)
        kind, body, event_id = await next_event(chunks)
        assert (kind, body["code"], event_id) == ("error", "not_found", None)
        assert [chunk async for chunk in chunks] == []


async def test_listeners_outlast_an_outage_of_the_store(gateway, follow, logs, monkeypatch):
    """What happened meanwhile is told afterwards; a defect in one round doesn't end them all either."""
    request_id = (await gateway.submit())["request_id"]
    errors = iter([StoreUnavailable("here", "locked"), ArithmeticError("a defect")])

    def workers() -> list[WorkerRow]:
        for error in errors:
            raise error
        return []

    monkeypatch.setattr(gateway.services.store, "workers", workers)
    async with aclosing(follow(request_id)) as chunks:
        assert (await next_event(chunks))[:2] == status("QUEUED", 1)
    assert [entry["event"] for entry in logs] == ["board", "board"]


async def test_a_revoked_key_hears_no_more(gateway, follow):
    """At the next thing that there would be to hear."""
    key, _ = gateway.services.store.create_key(gateway.account.id)
    request_id = (await gateway.submit())["request_id"]
    async with aclosing(follow(request_id, key=key)) as chunks:
        assert (await next_event(chunks)).kind == "status"
        gateway.services.store.revoke_key(key.id)
        gateway.worker.take()
        events = [await next_event(chunks), await next_event(chunks)]
        assert [event.kind for event in events] == ["progress", "error"]
        assert events[-1].data["code"] == "invalid_key"


async def test_a_silent_stream_has_a_heartbeat(gateway, follow):
    """A comment, so that proxies and clients see that it lives."""
    request_id = (await gateway.submit())["request_id"]
    async with aclosing(follow(request_id, heartbeat=0.01)) as chunks:
        await next_event(chunks)
        await next_event(chunks)
        assert [await anext(chunks), await anext(chunks)] == [b": ping\n\n", b": ping\n\n"]


async def test_a_draining_gateway_ends_its_streams(gateway, follow):
    """The client comes back, to another one."""
    request_id = (await gateway.submit())["request_id"]
    async with aclosing(follow(request_id, heartbeat=NEVER)) as chunks:
        await next_event(chunks)
        await next_event(chunks)
        rest = asyncio.create_task(anext(chunks, None))
        await soon(lambda: gateway.app.state.board._topics[request_id].changed._waiters)
        gateway.services.draining = True
        async with asyncio.timeout(20):
            assert await rest is None


async def test_a_client_that_goes_leaves_nothing_behind(gateway):
    """No topic is read any more, and the reader itself has ended."""
    request_id = (await gateway.submit())["request_id"]
    hung_up = asyncio.Event()
    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("body", b""))

    scope = {"type": "http", "asgi": {"spec_version": "2.3"}, "method": "GET", "path": path(request_id)}
    scope |= {"query_string": b"", "scheme": "http", "server": ("gateway.test", 80), "root_path": ""}
    scope |= {"headers": [(b"x-api-key", gateway.secret.encode()), (b"host", b"gateway.test")], "http_version": "1.1"}
    serving = asyncio.create_task(gateway.app(scope, receive, send))
    await soon(lambda: any(b"event: progress" in each for each in sent))
    board = gateway.app.state.board
    reader = board._task
    hung_up.set()
    async with asyncio.timeout(20):
        await serving
        await asyncio.wait([reader])
    assert (board._topics, board._task, reader.cancelled()) == ({}, None, True)


async def test_listeners_share_their_reads(gateway, follow):
    """What a change costs the database is the same for one listener and for fifty."""
    statements: list[str] = []
    engine = gateway.services.store._engine
    engine.dispose()
    # Lookups go by the driver's connection: only there is everything seen.
    sa.event.listen(engine, "connect", lambda connection, _: connection.set_trace_callback(statements.append))
    request_id = (await gateway.submit())["request_id"]
    claim = gateway.worker.take()

    async def hear(chunks: Any) -> None:
        while (await next_event(chunks)).kind != "preview":
            pass

    async def cost(listeners: int, step: int) -> int:
        streams = [follow(request_id, heartbeat=NEVER) for _ in range(listeners)]
        gateway.services.store.beat(claim, step=step, steps=4, preview=PREVIEW)
        await asyncio.gather(*map(hear, streams))
        before = len(statements)
        gateway.services.store.beat(claim, step=step + 1, steps=4, preview=PREVIEW)
        await asyncio.gather(*map(hear, streams))
        spent = [each for each in statements[before:] if each.startswith("SELECT")]
        for chunks in streams:
            await chunks.aclose()
        return len(spent)

    one, fifty = await cost(1, 1), await cost(50, 3)
    assert 0 < one <= 10
    assert fifty <= one + 10


def standing(step: int, *, attempt: int = 1, ahead: tuple[int, int] = (0, 0), steps: int = 10) -> Standing:
    return Standing(1 if any(ahead) else 0, attempt, step, steps, 0, *ahead)


def test_the_time_left_is_of_the_runs_own_pace():
    """As soon as two steps were seen; before that of what was measured; and what isn't steps comes on top."""
    pace, timing = Pace(), Timing(step_seconds=3.0, other_seconds=1.0, samples=5)
    found = []
    for step, now in ((0, 100.0), (1, 104.0), (3, 108.0), (6, 114.0), (10, 122.0)):
        pace.note(standing(step), now)
        found.append(eta(standing(step), pace, timing, workers=1))
    assert found == [31.0, 28.0, 15.0, 9.0, 1.0]


def test_a_retry_has_a_pace_of_its_own():
    """Its steps count from the first again."""
    pace = Pace()
    for attempt, step, now in ((1, 1, 10.0), (1, 2, 20.0), (2, 0, 21.0), (2, 1, 25.0)):
        pace.note(standing(step, attempt=attempt), now)
    assert pace.step_seconds is None
    pace.note(standing(2, attempt=2), 26.0)
    assert pace.step_seconds == 1.0


def test_who_waits_waits_for_those_ahead():
    """Their steps and all else of theirs, shared among the workers; for none, if there is a worker for each.

    Without any measure nobody knows.
    """
    waiting, timing = standing(0, ahead=(2, 12)), Timing(2.0, 1.0, 1)
    assert [eta(waiting, Pace(), timing, workers) for workers in (0, 1, 2, 3)] == [47.0, 47.0, 34.0, 21.0]
    assert eta(waiting, Pace(), None, 1) is None


async def test_measured_times_are_those_of_the_worker_that_has_the_job(gateway, follow):
    """By its checkpoint, at that one's size; once it is told, an estimate comes before the first step."""
    store, request_id = gateway.services.store, (await gateway.submit())["request_id"]
    store.report_worker("idle", state="ready", checkpoint="small", max_area=128**2)
    store.report_worker("worker", state="busy", checkpoint="large", max_area=1024**2, job_id=request_id)
    store.note_timing("small", 128, 128, step_seconds=0.5, other_seconds=0.1)
    store.note_timing("large", *output_size(1.0, 1024**2), step_seconds=5.0, other_seconds=2.0)
    gateway.worker.take()
    async with aclosing(follow(request_id)) as chunks:
        await next_event(chunks)
        assert (await next_event(chunks))[:2] == progress(0, 22.0)
    gateway.clock.advance(60)
    assert Fleet.of(gateway.services) == Fleet(0, {})

"""Following a request: the server's events over real sockets, connections that break, and servers without a stream."""

import asyncio
import base64
import json
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from openkontext import AuthenticationError, Client, Event, InferenceFailed, InferenceTimeout, NotFound
from tests.client.parts import REQUEST_ID, Harness, Script, SmallServer, addresses, state, submitted

PATH = f"/v2/requests/{REQUEST_ID}"
EVENTS = f"{PATH}/events"
DONE = {"status": "COMPLETED", "request_id": REQUEST_ID, "output": "http://o.test/x.png"}
FAILED = {"status": "FAILED", "request_id": REQUEST_ID, "error": "blocked: 0.98", "code": "blocked"}


def said(kind: str, data: Any, id: str = "") -> bytes:
    """An event as it is on the wire."""
    return f"event: {kind}\ndata: {json.dumps(data)}\n".encode() + (f"id: {id}\n\n" if id else "\n").encode()


QUEUED = said("status", {"status": "QUEUED", "queue_position": 2}, "1")
RUNNING = said("status", {"status": "PROCESSING", "queue_position": None}, "2")
STEP = said("progress", {"step": 3, "steps": 4, "eta_seconds": 1.5}, "3")
END = said("done", DONE, "4")


def stream(sdk: Harness, job: Any, **options: Any) -> list[Event]:
    """All events of a job."""

    async def collect() -> list[Event]:
        return [event async for event in job.stream(**options)]

    return sdk.call(collect) if sdk.kind == "asyncio" else list(job.stream(**options))


def kinds(events: list[Event]) -> list[tuple[str, str | None]]:
    return [(event.type, event.id) for event in events]


def job_at(sdk: Harness, server: SmallServer, **options: Any) -> Any:
    return sdk.client(base_url=server.url, **options).job(REQUEST_ID)


def test_events_come_as_the_server_tells_them(sdk: Harness, server: SmallServer) -> None:
    """All of them, in order, over one connection, with the key; comments and what is no JSON object are left out."""
    noise = b": hello\n\n" + b"data: x\n\n" + said("status", [1])
    server.answers = {EVENTS: ("events", b"retry: 5\n\n" + QUEUED + noise, RUNNING[:9], RUNNING[9:] + STEP, END)}
    events = stream(sdk, job_at(sdk, server))
    assert [("status", "1"), ("status", "2"), ("progress", "3"), ("done", "4")] == kinds(events)
    assert DONE == events[-1].result
    assert [f"GET {EVENTS}"] == server.seen
    assert ["SG_test", "text/event-stream"] == [server.headers[0][name] for name in ("x-api-key", "accept")]


def test_an_event_has_names_for_what_is_in_it() -> None:
    """Each helper reads its own field, and is None where there is none."""
    picture = b"GIF89a"
    image = f"data:image/gif;base64,{base64.b64encode(picture).decode()}"
    helpers = ("status", "queue_position", "step", "steps", "eta_seconds", "preview", "result")
    queued = Event("status", {"status": "QUEUED", "queue_position": 2})
    step = Event("progress", {"step": 3, "steps": 4, "eta_seconds": 1.5})
    preview, done = Event("preview", {"step": 3, "image": image}), Event("done", DONE)
    shown = [[getattr(event, name) for name in helpers] for event in (queued, step, preview, done)]
    assert [
        ["QUEUED", 2, None, None, None, None, None],
        [None, None, 3, 4, 1.5, None, None],
        [None, None, 3, None, None, picture, None],
        ["COMPLETED", None, None, None, None, None, DONE],
    ] == shown


@pytest.mark.parametrize("image", [None, 7, "", "http://a.test/x.png", "data:image/png;base64,%%%"])
def test_a_preview_that_is_no_data_uri_is_none(image: Any) -> None:
    """A helper doesn't raise for what the server sent."""
    assert Event("preview", {"step": 1, "image": image}).preview is None


@pytest.mark.parametrize("end", [(), (None,), (STEP[:-1], None)], ids=["clean", "broken", "broken within an event"])
def test_a_connection_that_ends_is_made_again(sdk: Harness, server: SmallServer, end: tuple[bytes | None, ...]) -> None:
    """It goes on after the last event that came whole, when the server wants."""
    first = ("events", b"retry: 250\n\n" + QUEUED + RUNNING, *end)
    server.answers = {EVENTS: [first, ("events", STEP, END)]}
    assert ["1", "2", "3", "4"] == [event.id for event in stream(sdk, job_at(sdk, server))]
    assert [None, "2"] == [headers["last-event-id"] for headers in server.headers]
    assert [0.25] == sdk.time.sleeps


def test_an_end_comes_again_and_again(sdk: Harness, server: SmallServer) -> None:
    """As long as something comes, a server may close as often as it likes; a second is waited unless it says."""
    steps = [("events", said("progress", {"step": step}, str(step))) for step in range(10)]
    server.answers = {EVENTS: [*steps, ("events", END)]}
    assert [*range(10), None] == [event.step for event in stream(sdk, job_at(sdk, server))]
    assert [1.0] * 10 == sdk.time.sleeps


def test_a_silent_connection_is_made_again(sdk: Harness, server: SmallServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing, not even that it lives, is taken for dead, however long the timeout is."""
    monkeypatch.setattr("openkontext.client.stream.SILENCE_S", 0.2)
    server.answers = {EVENTS: [("late", 5, ("events", QUEUED)), ("events", QUEUED, END)]}
    assert ["1", "4"] == [event.id for event in stream(sdk, job_at(sdk, server, timeout=30))]


@pytest.mark.parametrize("route", [(404, "{}"), (405, "{}"), (200, "<html>"), (403, '{"message": "Forbidden"}')])
def test_a_server_without_a_stream_is_polled(sdk: Harness, server: SmallServer, route: Any) -> None:
    """The hosted service has none: its states are the events."""
    states = [(200, json.dumps({"status": name})) for name in ("QUEUED", "QUEUED", "PROCESSING", "COMPLETED")]
    server.answers = {EVENTS: route, f"{PATH}/status": states, PATH: (200, json.dumps(DONE))}
    events = stream(sdk, job_at(sdk, server))
    assert ["QUEUED", "PROCESSING", "COMPLETED"] == [event.status for event in events]
    assert [("status", None), ("status", None), ("done", None)] == kinds(events)
    assert DONE == events[-1].result
    assert [1.0] * 3 == sdk.time.sleeps


def test_a_stream_that_leads_to_nothing_gives_way_to_polling(sdk: Harness, server: SmallServer) -> None:
    """A proxy that holds events back, or ends every stream at once."""
    server.answers = {EVENTS: ("events", b": hello\n\n"), f"{PATH}/status": (200, json.dumps(DONE))}
    server.answers[PATH] = (200, json.dumps(DONE))
    assert [("done", None)] == kinds(stream(sdk, job_at(sdk, server, max_retries=2)))
    assert [f"GET {EVENTS}"] * 3 == server.seen[:3]
    assert 5 == len(server.seen)


def test_a_failed_request_is_done(sdk: Harness, server: SmallServer) -> None:
    """Looking on isn't what raises."""
    server.answers = {EVENTS: ("events", said("done", FAILED, "9"))}
    assert [FAILED] == [event.result for event in stream(sdk, job_at(sdk, server))]


def test_a_failed_request_is_done_when_polled(sdk: Harness) -> None:
    """Its status body says it all."""
    failed = httpx.Response(422, json=FAILED)
    script = Script(httpx.Response(404), failed)
    assert [FAILED] == [event.result for event in stream(sdk, sdk.client(script).job(REQUEST_ID))]
    assert 2 == len(script.requests)


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (401, AuthenticationError)])
def test_an_error_ends_the_stream_and_is_raised(
    sdk: Harness, server: SmallServer, status: int, error: type[Exception]
) -> None:
    """The request expired, or the key was revoked: the status says it as any other call does."""
    refused = {"error": "not any more", "code": "x"}
    server.answers = {EVENTS: ("events", QUEUED + said("error", refused))}
    server.answers[f"{PATH}/status"] = (status, json.dumps(refused))
    seen: list[Event] = []
    with pytest.raises(error, match="not any more"):
        sdk.call(job_at(sdk, server).wait, on_progress=seen.append)
    assert ["status", "error"] == [event.type for event in seen]


def test_no_server_is_an_error(sdk: Harness) -> None:
    """Nothing answers, after the repeats of any call."""
    script = Script(httpx.ConnectError("refused"))
    with pytest.raises(httpx.ConnectError):
        stream(sdk, sdk.client(script).job(REQUEST_ID))
    assert 4 == len(script.requests)


def test_the_time_is_up_between_connections(sdk: Harness, server: SmallServer) -> None:
    """The last pause is cut at the deadline, and the error says that the request goes on."""
    server.answers = {EVENTS: ("events", b"retry: 4000\n\n" + QUEUED)}
    with pytest.raises(InferenceTimeout) as caught:
        stream(sdk, job_at(sdk, server), timeout=10)
    assert (REQUEST_ID, 10.0) == (caught.value.request_id, caught.value.elapsed_s)
    assert [4, 4, 2] == sdk.time.sleeps


@pytest.mark.parametrize(("timeout", "error"), [(0.1, InferenceTimeout), (600, httpx.ReadTimeout)])
def test_a_server_that_does_not_answer_takes_the_time_left(
    sdk: Harness, timeout: float, error: type[Exception]
) -> None:
    """It is the deadline that is told where that was the reason, and the trouble where it wasn't."""
    with pytest.raises(error):
        stream(sdk, sdk.client(Script(httpx.ReadTimeout("slow"))).job(REQUEST_ID), timeout=timeout)


def test_the_time_is_up_while_the_server_lives(sdk: Harness, server: SmallServer) -> None:
    """A stream of heartbeats doesn't outlast the deadline."""
    moments = iter(range(0, 100, 5))
    job = job_at(sdk, server, clock=lambda: float(next(moments)))
    server.answers = {EVENTS: ("events", *[b": alive\n\n"] * 1000)}
    with pytest.raises(InferenceTimeout):
        stream(sdk, job, timeout=30)
    assert 1 == len(server.seen)


def test_run_tells_its_progress(sdk: Harness, server: SmallServer) -> None:
    """Every event goes to the callback, the last included; the result needs no other request."""
    server.answers = {"/v2/slug": (200, json.dumps(addresses(server.url))), EVENTS: ("events", QUEUED + STEP, END)}
    seen: list[Event] = []
    result = sdk.call(sdk.client(base_url=server.url).run, "slug", prompt="snow", on_progress=seen.append)
    assert DONE == result
    assert ["status", "progress", "done"] == [event.type for event in seen]
    assert {"prompt": "snow"} == json.loads(server.bodies[0])
    assert 2 == len(server.seen)


def test_waiting_with_progress_raises_for_a_failed_request(sdk: Harness, server: SmallServer) -> None:
    """As waiting without; the callback has seen the end."""
    server.answers = {EVENTS: ("events", said("done", FAILED))}
    seen: list[Event] = []
    with pytest.raises(InferenceFailed, match="blocked"):
        sdk.call(job_at(sdk, server).wait, on_progress=seen.append)
    assert [FAILED] == [event.result for event in seen]


def test_waiting_with_progress_has_a_deadline_and_an_interval(sdk: Harness) -> None:
    """Where there is no stream, they are those of polling."""
    script = Script(httpx.Response(404), state("QUEUED"))
    with pytest.raises(InferenceTimeout):
        sdk.call(sdk.client(script).job(REQUEST_ID).wait, timeout=5, interval=2, on_progress=lambda event: None)
    assert [2, 2, 1] == sdk.time.sleeps


def test_a_callback_may_be_a_coroutine(sdk: Harness, server: SmallServer) -> None:
    """Under asyncio it is awaited before the next event."""
    server.answers = {EVENTS: ("events", QUEUED + END)}
    seen: list[str] = []

    async def note(event: Event) -> None:
        seen.append(event.type)

    sdk.call(job_at(sdk, server).wait, on_progress=note)
    assert ["status", "done"] == seen


def test_what_a_callback_raises_is_raised(sdk: Harness, server: SmallServer) -> None:
    """It ends the waiting, and hangs up."""
    server.answers = {EVENTS: ("events", QUEUED, END)}

    def refuse(event: Event) -> None:
        raise LookupError(event.type)

    with pytest.raises(LookupError, match="status"):
        sdk.call(job_at(sdk, server).wait, on_progress=refuse)


def test_leaving_a_stream_hangs_up(sdk: Harness, server: SmallServer) -> None:
    """Its connection, here the only one that the client may have, is free again."""
    kind = httpx.HTTPTransport if sdk.kind == "blocking" else httpx.AsyncHTTPTransport
    transport = kind(limits=httpx.Limits(max_connections=1))
    server.answers = {EVENTS: ("events", QUEUED, *[STEP] * 1000), f"{PATH}/status": (200, json.dumps(DONE))}
    job = job_at(sdk, server, transport=transport, timeout=0.2)

    async def first() -> str:
        async with aclosing(job.stream()) as events:
            return str((await anext(events)).type)

    assert "status" == (sdk.call(first) if sdk.kind == "asyncio" else next(job.stream()).type)
    assert DONE == sdk.call(job.status)


def test_the_blocking_stream_works_inside_an_event_loop(server: SmallServer) -> None:
    """A notebook's cells run in a loop, and the blocking client's generator leaves nothing there."""
    server.answers = {EVENTS: ("events", QUEUED, *[STEP] * 1000)}

    async def cell() -> str:
        with Client("SG_test", server.url) as client:
            return next(client.job(REQUEST_ID).stream()).type

    assert "status" == asyncio.run(cell())


def test_submit_then_stream_uses_the_named_address(sdk: Harness) -> None:
    """The events are under the response URL that the submit named, at our own origin."""
    script = Script(submitted("http://internal:8000/base"), httpx.Response(404), httpx.Response(422, json=FAILED))
    job = sdk.call(sdk.client(script).submit_async, "slug")
    stream(sdk, job)
    assert f"GET http://server.test:9000/base{EVENTS}" == script.urls[1]

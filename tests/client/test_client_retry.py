"""What is sent again, and what is not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from openkontext import Conflict, Gone, RateLimited, ServerError, ServiceUnavailable
from openkontext.client.retry import Patience, asked_wait, retry_after
from tests.client.parts import REQUEST_ID, Harness, Script, state, submitted

NOT_SENT = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("busy")]
BROKEN = [
    httpx.ReadTimeout("slow"),
    httpx.WriteTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.RemoteProtocolError("disconnected"),
]


def refusal(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": "not now"}, headers=headers)


@pytest.mark.parametrize("trouble", [*NOT_SENT, *BROKEN, *map(refusal, (502, 503, 504))], ids=repr)
def test_looking_is_repeated(sdk: Harness, trouble: httpx.Response | Exception) -> None:
    """Looking changes nothing, so it is sent again after anything that may pass."""
    script = Script(trouble, trouble, trouble, state("QUEUED"))
    assert "QUEUED" == sdk.call(sdk.client(script).job(REQUEST_ID).status)["status"]
    assert (4, 3) == (len(script.requests), len(sdk.time.sleeps))


def test_cancelling_is_repeated(sdk: Harness) -> None:
    """To cancel twice is to cancel once."""
    script = Script(BROKEN[0], httpx.Response(202))
    assert sdk.call(sdk.client(script).job(REQUEST_ID).cancel)
    assert 2 == len(script.requests)


@pytest.mark.parametrize("trouble", NOT_SENT, ids=repr)
def test_an_edit_that_was_not_sent_is_sent_again(sdk: Harness, trouble: Exception) -> None:
    """Without a connection the server can't have seen it."""
    script = Script(trouble, submitted())
    assert REQUEST_ID == sdk.call(sdk.client(script).submit_async, "slug").request_id
    assert 2 == len(script.requests)


@pytest.mark.parametrize("method", ["submit_async", "run_sync"])
@pytest.mark.parametrize("trouble", [*BROKEN, *map(refusal, (502, 503, 504))], ids=repr)
def test_an_edit_that_may_have_arrived_is_repeated_with_its_key(sdk: Harness, trouble: Any, method: str) -> None:
    """Our server knows it by its Idempotency-Key, and so runs and charges it once."""
    script = Script(trouble, trouble, trouble, submitted())
    sdk.call(getattr(sdk.client(script), method), "slug", prompt="snow")
    assert 4 == len(script.requests)
    assert 1 == len({request.headers["idempotency-key"] for request in script.requests})
    assert 1 == len({request.content for request in script.requests})


@pytest.mark.parametrize(
    "host", ["https://api.segmind.com/v1", "https://segmind.com", "https://eu.api.segmind.com:443"]
)
@pytest.mark.parametrize("method", ["submit_async", "run_sync"])
@pytest.mark.parametrize("trouble", [*BROKEN, *map(refusal, (502, 503, 504))], ids=repr)
def test_the_hosted_service_never_gets_an_edit_twice(sdk: Harness, trouble: Any, method: str, host: str) -> None:
    """It doesn't know the key: an edit that may have arrived could run, and be charged, twice."""
    script = Script(trouble, submitted())
    with pytest.raises((httpx.TransportError, ServerError)):
        sdk.call(getattr(sdk.client(script, base_url=host), method), "slug")
    assert (1, []) == (len(script.requests), sdk.time.sleeps)


def test_a_name_that_only_looks_hosted_is_ours(sdk: Harness) -> None:
    """The whole domain counts, not its end."""
    script = Script(BROKEN[0], submitted())
    sdk.call(sdk.client(script, base_url="https://notsegmind.com").submit_async, "slug")
    assert 2 == len(script.requests)


def test_the_hosted_service_gets_again_what_it_refused(sdk: Harness) -> None:
    """Its rate limit names the reset alone; a refusal ran nothing."""
    script = Script(limited(reset=5), submitted())
    sdk.call(sdk.client(script, base_url="https://api.segmind.com/v1").submit_async, "slug")
    assert 2 == len(script.requests)
    assert all(5.0 <= pause <= 5.5 for pause in sdk.time.sleeps)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(500), ServerError),
        (refusal(429), RateLimited),
        (refusal(429, **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), RateLimited),
        (refusal(409), Conflict),
        (refusal(410), Gone),
    ],
    ids=str,
)
def test_what_would_not_change_is_not_sent_again(sdk: Harness, answer: httpx.Response, error: type[Exception]) -> None:
    """A defect, a refusal without a time, and what is wrong with the key stay what they are."""
    script = Script(answer, submitted())
    with pytest.raises(error):
        sdk.call(sdk.client(script).submit_async, "slug")
    assert (1, []) == (len(script.requests), sdk.time.sleeps)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["submit_async", "run_sync"])
def test_a_refused_edit_waits_as_long_as_asked(sdk: Harness, status: int, method: str) -> None:
    """Retry-After says when; half a second at most is added."""
    script = Script(refusal(status, **{"retry-after": "7"}), submitted())
    sdk.call(getattr(sdk.client(script), method), "slug")
    assert 2 == len(script.requests)
    assert all(7.0 <= pause <= 7.5 for pause in sdk.time.sleeps)


def limited(reset: float, **headers: str) -> httpx.Response:
    """A 429 of a server whose clock is an hour ahead of ours."""
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    moments = {"date": f"{now:%a, %d %b %Y %H:%M:%S} GMT"}
    moments["x-rate-limit-reset-at-utc"] = f"{now + timedelta(seconds=reset):%Y-%m-%dT%H:%M:%SZ}"
    return refusal(429, **moments, **headers)


@pytest.mark.parametrize(("reset", "expected"), [(12, 12.0), (-3, 0.0)])
def test_the_reset_is_counted_by_the_servers_clock(reset: int, expected: float) -> None:
    """Without Retry-After, the reset of the limit says when; one that is over is now."""
    assert expected == asked_wait(429, limited(reset).headers)


def test_without_the_servers_clock_ours_counts() -> None:
    """A server that sends no Date."""
    moment = datetime.now(UTC) + timedelta(seconds=20)
    waiting = asked_wait(429, {"x-rate-limit-reset-at-utc": moment.isoformat()})
    assert waiting is not None
    assert 15 < waiting <= 20


def test_retry_after_comes_before_the_reset(sdk: Harness) -> None:
    """The reset is when the whole limit is back, and one request may be had before."""
    script = Script(limited(50, **{"retry-after": "1"}), submitted())
    sdk.call(sdk.client(script).submit_async, "slug")
    assert all(1.0 <= pause <= 1.5 for pause in sdk.time.sleeps)


def test_a_reset_beside_another_status_is_no_refusal() -> None:
    """Every answer of the rate limit names the reset."""
    assert asked_wait(503, limited(5).headers) is None


def test_refusals_are_waited_out_up_to_the_cap(sdk: Harness) -> None:
    """Many clients of one key are refused many times: what counts is the time of one call, 60 s in all."""
    script = Script(refusal(429, **{"retry-after": "5"}))
    with pytest.raises(RateLimited):
        sdk.call(sdk.client(script).submit_async, "slug")
    assert 10 <= len(sdk.time.sleeps) <= 12
    assert 54.5 <= sum(sdk.time.sleeps) <= 60.5


def test_too_long_a_wait_is_the_callers_choice(sdk: Harness) -> None:
    """One that is beyond the cap raises at once, with all that the server said."""
    counts = {"x-rate-limit-limit": "60", "x-rate-limit-remaining": "0", "retry-after": "61"}
    script = Script(refusal(429, **counts, **{"x-rate-limit-reset-at-utc": "2026-11-22T07:00:00Z"}))
    with pytest.raises(RateLimited) as caught:
        sdk.call(sdk.client(script).submit_async, "slug")
    error = caught.value
    moment = datetime(2026, 11, 22, 7, tzinfo=UTC)
    assert (61.0, moment, 60, 0) == (error.retry_after, error.reset_at, error.limit, error.remaining)
    assert [] == sdk.time.sleeps


@pytest.mark.parametrize(("most", "requests"), [(0, 1), (0.4, 1), (8, 2), (100, 3)])
def test_the_cap_is_an_argument(sdk: Harness, most: float, requests: int) -> None:
    """0 waits for no refusal; trouble is repeated all the same."""
    script = Script(refusal(429, **{"retry-after": "6"}), refusal(503, **{"retry-after": "6"}), submitted())
    try:
        sdk.call(sdk.client(script, max_wait=most).submit_async, "slug")
    except (RateLimited, ServiceUnavailable):
        pass
    assert requests == len(script.requests)


def test_a_refusal_that_asks_for_no_time_is_not_sent_again_at_once(sdk: Harness) -> None:
    """Half a second at least, and no more than a minute of it."""
    with pytest.raises(RateLimited):
        sdk.call(sdk.client(Script(refusal(429, **{"retry-after": "0"}))).submit_async, "slug")
    assert all(0.5 <= pause <= 1.0 for pause in sdk.time.sleeps)
    assert len(sdk.time.sleeps) <= 120


def test_refusals_take_no_repeats_of_trouble(sdk: Harness) -> None:
    """Each has a bound of its own."""
    refused = refusal(429, **{"retry-after": "1"})
    script = Script(refused, BROKEN[0], refused, refused, BROKEN[0], submitted())
    sdk.call(sdk.client(script, max_retries=2).submit_async, "slug")
    assert 6 == len(script.requests)


@pytest.mark.parametrize("retries", [0, 2])
def test_retries_are_counted(sdk: Harness, retries: int) -> None:
    """After the last repeat the trouble itself is raised, with a hint at the address."""
    script = Script(httpx.ConnectError("refused"))
    with pytest.raises(httpx.ConnectError) as caught:
        sdk.call(sdk.client(script, max_retries=retries).submit_async, "slug")
    assert (retries + 1, retries) == (len(script.requests), len(sdk.time.sleeps))
    assert [
        "No answer from http://server.test:9000; base_url=… or OPENKONTEXT_BASE_URL sets the server's address."
    ] == (caught.value.__notes__)


def test_pauses_grow_up_to_a_cap() -> None:
    """Each pause is 0.5 to 1 of 0.5, 1, 2, 4, 8, 8 … seconds, and not always the same."""
    calls = [Patience(7, 60, repeatable=True) for _ in range(50)]
    for most in [0.5, 1, 2, 4, 8, 8, 8]:
        pauses = {call.pause(NOT_SENT[0]) for call in calls}
        assert all(pause is not None and most / 2 <= pause <= most for pause in pauses)
        assert len(pauses) > 1
    assert {None} == {call.pause(NOT_SENT[0]) for call in calls}


@pytest.mark.parametrize("text", ["", "-1", "nan", "1e3", "٣", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_what_is_no_count_of_seconds_is_no_retry_after(text: str) -> None:
    """Anything but plain digits is left alone."""
    assert retry_after({"retry-after": text}) is None


def test_other_trouble_is_not_repeated(sdk: Harness) -> None:
    """An answer that breaks a rule of HTTP on our side stays broken."""
    script = Script(httpx.LocalProtocolError("bad header"))
    with pytest.raises(httpx.LocalProtocolError):
        sdk.call(sdk.client(script).job(REQUEST_ID).status)
    assert 1 == len(script.requests)

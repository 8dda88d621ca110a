"""What is sent again, and what is not."""

import httpx
import pytest

from openkontext import GatewayTimeout, RateLimited, ServerError, ServiceUnavailable
from openkontext.client.retry import pause_before_retry, retry_after
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
    """A GET changes nothing, so it is sent again after anything that may pass."""
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
@pytest.mark.parametrize("trouble", BROKEN, ids=repr)
def test_an_edit_that_may_have_arrived_is_never_sent_again(sdk: Harness, trouble: Exception, method: str) -> None:
    """It could run, and be charged, twice."""
    script = Script(trouble, submitted())
    with pytest.raises(type(trouble)):
        sdk.call(getattr(sdk.client(script), method), "slug")
    assert (1, []) == (len(script.requests), sdk.time.sleeps)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(500), ServerError),
        (refusal(502), ServerError),
        (refusal(503), ServiceUnavailable),
        (refusal(504), GatewayTimeout),
        (refusal(504, **{"retry-after": "1"}), GatewayTimeout),
        (refusal(429), RateLimited),
        (refusal(429, **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), RateLimited),
    ],
    ids=str,
)
def test_an_edit_that_was_answered_is_not_sent_again(
    sdk: Harness, answer: httpx.Response, error: type[Exception]
) -> None:
    """An error alone doesn't tell whether the edit ran."""
    script = Script(answer, submitted())
    with pytest.raises(error):
        sdk.call(sdk.client(script).submit_async, "slug")
    assert 1 == len(script.requests)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["submit_async", "run_sync"])
def test_a_refused_edit_waits_as_long_as_asked(sdk: Harness, status: int, method: str) -> None:
    """Retry-After says that it was refused, so sending it again is safe; half a second at most is added."""
    script = Script(refusal(status, **{"retry-after": "7"}), submitted())
    sdk.call(getattr(sdk.client(script), method), "slug")
    assert 2 == len(script.requests)
    assert all(7.0 <= pause <= 7.5 for pause in sdk.time.sleeps)


def test_too_long_a_wait_is_the_callers_choice(sdk: Harness) -> None:
    """A Retry-After beyond 30 s raises at once, with the time in the error."""
    script = Script(refusal(429, **{"retry-after": "31"}), submitted())
    with pytest.raises(RateLimited) as caught:
        sdk.call(sdk.client(script).submit_async, "slug")
    assert (31.0, []) == (caught.value.retry_after, sdk.time.sleeps)


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


def test_refusals_are_counted_too(sdk: Harness) -> None:
    """A server that refuses on and on is believed after three repeats."""
    script = Script(refusal(503, **{"retry-after": "1"}))
    with pytest.raises(ServiceUnavailable, match="503: not now"):
        sdk.call(sdk.client(script).submit_async, "slug")
    assert 4 == len(script.requests)


def test_pauses_grow_up_to_a_cap() -> None:
    """Each pause is 0.5 to 1 of 0.5, 1, 2, 4, 8, 8 … seconds, and not always the same."""
    for retries, most in enumerate([0.5, 1, 2, 4, 8, 8, 8]):
        pauses = {pause_before_retry(retries, "GET", NOT_SENT[0]) for _ in range(50)}
        assert all(pause is not None and most / 2 <= pause <= most for pause in pauses)
        assert len(pauses) > 1


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

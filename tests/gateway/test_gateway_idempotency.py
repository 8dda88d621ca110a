"""Idempotency-Key: the same request twice is one job and one charge, on both POSTs."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.gateway.harness import EDIT, PICTURE, RUN, SUBMIT, Gateway, assert_error, connect, data_uri, picture, soon

KEYED = {"Idempotency-Key": "order-66"}


async def post(gateway: Gateway, path: str = SUBMIT, headers: Any = KEYED, **changes: Any) -> httpx.Response:
    return await gateway.http.post(path, json=EDIT | changes, headers=headers)


def jobs(gateway: Gateway) -> int:
    return gateway.services.store.history(gateway.account.id).total


async def test_a_replay_answers_the_first_request(gateway):
    """The same key and body is the same answer, marked; one job, one picture, one charge."""
    first, again = await post(gateway), await post(gateway)
    assert (200, 200) == (first.status_code, again.status_code)
    assert first.json() == again.json()
    assert first.headers["x-request-id"] == again.headers["x-request-id"]
    marks = [response.headers.get("Idempotency-Replayed") for response in (first, again)]
    assert marks == [None, "true"]
    assert (1, 9.96) == (jobs(gateway), gateway.balance)
    assert gateway.blobs == {f"inputs/{first.json()['request_id']}"}


async def test_a_replay_of_an_ended_request(gateway):
    """What has ended is not run again."""
    first = await post(gateway)
    gateway.worker.complete()
    assert (await post(gateway)).json() == first.json()
    gateway.services.store.claim("worker")
    assert (1, 9.96) == (jobs(gateway), gateway.balance)


async def test_other_keys_and_none_are_other_requests(gateway):
    """Without a key, or with another, the same body is a new request."""
    answers = [await post(gateway), await post(gateway, headers={"Idempotency-Key": "x"}), await post(gateway)]
    answers.append(await post(gateway, headers={}))
    ids = [answer.json()["request_id"] for answer in answers]
    assert (3, True) == (len(set(ids)), ids[0] == ids[2])


async def test_accounts_do_not_share_keys(gateway):
    """What one account used says nothing to another; two keys of one account share."""
    first = await post(gateway)
    stranger = gateway.new_key(gateway.new_account("stranger"))
    async with connect(gateway.app, stranger) as http:
        other = await http.post(SUBMIT, json=EDIT, headers=KEYED)
    gateway.http.headers["x-api-key"] = gateway.new_key()
    same = await post(gateway)
    assert "Idempotency-Replayed" not in other.headers
    assert (first.json(), "true") == (same.json(), same.headers["Idempotency-Replayed"])


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "make it rain"},
        {"seed": 8},
        {"seed": None},
        {"output_format": "jpg"},
        {"disable_safety_checker": True},
        {"input_image": data_uri(picture(64, 64))},
        {"input_image": "https://example.com/a.png"},
    ],
    ids=str,
)
async def test_another_body_is_a_conflict(gateway, changes):
    """A key that was used for something else is a 409 that says so, and nothing happens."""
    await post(gateway)
    error = assert_error(await post(gateway, **changes), 409, "idempotency_conflict")["error"]
    assert "Idempotency-Key" in error
    assert (1, 9.96, 1) == (jobs(gateway), gateway.balance, len(gateway.blobs))


async def test_another_webhook_is_a_conflict(gateway):
    """Where to post the result is a part of what was asked."""
    await post(gateway)
    answer = await post(gateway, f"{SUBMIT}?webhook=https://example.com/hook")
    assert_error(answer, 409, "idempotency_conflict")


async def test_the_same_in_other_words(gateway):
    """What counts is what was asked: defaults may be left out, the order and the way of sending may differ."""
    first = await post(gateway)
    spelled = await post(gateway, guidance=7, output_format="png")
    form = {name: str(value) for name, value in EDIT.items() if name != "input_image"}
    files = {"input_image": ("a.png", PICTURE, "image/png")}
    sent = await gateway.http.post(SUBMIT, data=form, files=files, headers=KEYED)
    assert [spelled.json(), sent.json()] == [first.json()] * 2


@pytest.mark.parametrize("blank", [None, "", -1])
async def test_a_blank_seed_replays(gateway, blank):
    """A seed left to the server is drawn once: the replay is the first's, not another draw."""
    first, again = await post(gateway, seed=None), await post(gateway, seed=blank)
    assert first.json() == again.json()
    assert (1, "true") == (jobs(gateway), again.headers["Idempotency-Replayed"])


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "naïve".encode(), b"\x01"], ids=repr)
@pytest.mark.parametrize("path", [SUBMIT, RUN])
async def test_keys_that_are_none(gateway, path, key):
    """A key is 1 to 255 visible ASCII characters."""
    answer = await post(gateway, path, {"Idempotency-Key": key})
    assert "Idempotency-Key" in assert_error(answer, 400, "invalid_parameter")["error"]
    assert jobs(gateway) == 0


async def test_two_keys_at_once(gateway):
    """Two headers are refused: nobody could tell which counts."""
    answer = await gateway.http.post(SUBMIT, json=EDIT, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert "Idempotency-Key" in assert_error(answer, 400, "invalid_parameter")["error"]


async def test_the_longest_key(gateway):
    """255 characters, of any that can be seen."""
    longest = {"Idempotency-Key": ("!~" * 128)[:255]}
    assert (await post(gateway, headers=longest)).json() == (await post(gateway, headers=longest)).json()


async def test_refused_submits_are_not_remembered(gateway):
    """After a refusal the same key is free, even for another body."""
    gateway.http.headers["x-api-key"] = gateway.new_key(gateway.new_account("poor", 39_999))
    assert_error(await post(gateway), 406, "insufficient_credits")
    assert_error(await post(gateway, seed="x"), 400, "invalid_parameter")
    gateway.http.headers["x-api-key"] = gateway.secret
    assert (await post(gateway, seed=9)).status_code == 200


async def test_replays_come_before_limits_and_money(gateway):
    """Who has used up limit and credits still gets the first answer again."""
    gateway.http.headers["x-api-key"] = gateway.new_key(gateway.new_account("poor", 40_000), rpm=1)
    first = await post(gateway)
    again = await post(gateway)
    assert (200, first.json()) == (again.status_code, again.json())
    assert again.headers["x-rate-limit-remaining"] == "0"


async def test_after_the_result_expired(gateway):
    """A key whose result is gone is a 410 that names the request, not a second charge."""
    request_id = (await post(gateway)).json()["request_id"]
    gateway.worker.complete()
    gateway.clock.advance(3601)
    for path in (SUBMIT, RUN):
        body = assert_error(await post(gateway, path), 410, "result_expired")
        assert body["request_id"] == request_id
    assert gateway.balance == 9.96


async def test_after_a_day(gateway):
    """A day later the key is new."""
    first = await post(gateway)
    gateway.worker.complete()
    gateway.clock.advance(86_401)
    again = await post(gateway)
    assert again.json()["request_id"] != first.json()["request_id"]
    assert "Idempotency-Replayed" not in again.headers


async def test_concurrent_posts_make_one_job(gateway):
    """Posts of one key at the same time, by v2 and v1, are one job and one charge."""
    v2 = await asyncio.gather(*(post(gateway) for _ in range(8)))
    waiting = [asyncio.create_task(post(gateway, RUN)) for _ in range(4)]
    await asyncio.to_thread(gateway.worker.complete)
    v1 = await asyncio.gather(*waiting)
    assert len({response.headers["x-request-id"] for response in (*v2, *v1)}) == 1
    assert [response.content for response in v1] == [PICTURE] * 4
    assert sorted("Idempotency-Replayed" in response.headers for response in v2) == [False] + [True] * 7
    assert (1, 9.96) == (jobs(gateway), gateway.balance)


async def test_concurrent_first_posts_of_v1(gateway):
    """Of several v1 calls with one key one is run, and all are answered by it."""
    waiting = [asyncio.create_task(post(gateway, RUN, seed=None)) for _ in range(4)]
    await asyncio.to_thread(gateway.worker.complete)
    answers = await asyncio.gather(*waiting)
    assert [response.content for response in answers] == [PICTURE] * 4
    assert len({response.headers["x-seed-value"] for response in answers}) == 1
    assert sorted("Idempotency-Replayed" in response.headers for response in answers) == [False, True, True, True]
    assert (1, 9.96) == (jobs(gateway), gateway.balance)


async def test_v1_replays_the_image(gateway):
    """While the result is kept, v1 answers the first one's image and headers."""
    waiting = asyncio.create_task(post(gateway, RUN, seed=None))
    await asyncio.to_thread(gateway.worker.complete)
    first, again = await waiting, await post(gateway, RUN, seed=None)
    names = ("x-request-id", "x-seed-value", "x-cost", "x-remaining-credits", "x-generation-time", "content-type")
    assert [first.headers[name] for name in names] == [again.headers[name] for name in names]
    assert (PICTURE, "true") == (again.content, again.headers["Idempotency-Replayed"])


async def test_v1_replays_a_failure(gateway):
    """A failed request is not run again either: its failure is the answer, marked as a replay."""
    waiting = asyncio.create_task(post(gateway, RUN))
    await asyncio.to_thread(gateway.worker.fail, "blocked", "no")
    first, again = await waiting, await post(gateway, RUN)
    assert assert_error(first, 422, "blocked") == assert_error(again, 422, "blocked")
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_hanging_up_with_a_key(live):
    """Who sends a key and hangs up, at first or at a replay, can come back: the job goes on."""

    def asked() -> int:
        return len(store.history(live.account.id).entries)

    store = live.services.store
    body = httpx.Request("POST", live.url + RUN, json=EDIT).read()
    head = f"POST {RUN} HTTP/1.1\r\nhost: x\r\nx-api-key: {live.secret}\r\ncontent-length: {len(body)}\r\n"
    for _ in range(2):
        with live.connect() as connection:
            connection.sendall(f"{head}idempotency-key: order-66\r\n\r\n".encode() + body)
            await soon(asked)
            await soon(lambda: store.load().queued)
    with live.connect() as connection:
        connection.sendall(f"{head}\r\n".encode() + body)
        await soon(lambda: asked() == 2)
    # The last one, without a key, is cancelled; by then the hang-ups before it have been seen as well.
    await soon(lambda: store.load().queued == 1)
    live.worker.complete()
    with live.http() as http:
        again = await asyncio.to_thread(http.post, RUN, json=EDIT, headers=KEYED)
    assert (200, PICTURE) == (again.status_code, again.content)


async def test_a_replay_is_answered_while_the_server_drains(gateway):
    """It takes nothing in, so it comes before the 503; a new key is refused."""
    first = await post(gateway)
    gateway.services.draining = True
    assert first.json() == (await post(gateway)).json()
    assert_error(await post(gateway, headers={"Idempotency-Key": "order-67"}), 503, "draining")

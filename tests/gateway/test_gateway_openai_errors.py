"""OpenAI's images edit: all that can be wrong, in OpenAI's shape."""

import asyncio
import dataclasses
import json
import os
from typing import Any

import httpx
import pytest

from openkontext.contract import SLUG
from openkontext.gateway import create_app
from openkontext.gateway.watch import Watcher
from openkontext.media.blobs import Blobs, BlobsUnavailable
from openkontext.store import Store, StoreUnavailable
from tests.gateway.harness import PICTURE, Gateway, connect, data_uri, soon
from tests.gateway.openai_shape import BODY, EDITS, FORM, assert_openai_error, bearer, edited, post, work

QUOTA = {"kind": "insufficient_quota"}
RATE = {"kind": "rate_limit_error"}
SERVER = {"kind": "server_error"}


@pytest.fixture
async def openai(gateway):
    """The gateway, asked with a bearer key alone."""
    return bearer(gateway)


async def test_the_safety_checker_is_on(openai):
    """No field of this route turns it off."""
    response = await post(openai, disable_safety_checker="true")
    assert_openai_error(response, 400, "invalid_parameter", param="disable_safety_checker")


REFUSED = [
    ({"n": 5}, "n", "from 1 to 4"),
    ({"n": "two"}, "n", "from 1 to 4"),
    ({"n": "[" * 100_000}, "n", "from 1 to 4"),
    ({"size": "huge"}, "size", "WIDTHxHEIGHT"),
    ({"size": "3000x1000"}, "size", "9:21 to 21:9"),
    ({"quality": "best"}, "quality", "one of auto"),
    ({"response_format": "png"}, "response_format", "b64_json"),
    ({"output_format": "jpg"}, "output_format", "jpeg"),
    ({"output_compression": "101"}, "output_compression", "0 to 100"),
    ({"background": "transparent"}, "background", "opaque"),
    ({"moderation": "low"}, "moderation", "safety checker"),
    ({"stream": "true"}, "stream", "doesn't stream"),
    ({"partial_images": "2"}, "partial_images", "doesn't stream"),
    ({"input_fidelity": "high"}, "input_fidelity", "guidance"),
    ({"svg[model]": "x"}, "svg", "png, jpeg or webp"),
    ({"prompt": " "}, "prompt", "not blank"),
    ({"promt": "x"}, "promt", "did you mean prompt?"),
    ({"seed": "-2"}, "seed", "from 0"),
    ({"seed": str(2**63 - 1), "n": "2"}, "seed", "2 seeds in a row"),
    ({"num_inference_steps": "3"}, "num_inference_steps", "from 4 to 50"),
]


async def test_parameters_that_are_refused(openai):
    """What is wrong is said, the parameter named, and nothing held."""
    for fields, param, words in REFUSED:
        error = assert_openai_error(await post(openai, **fields), 400, "invalid_parameter", param=param)
        assert words in error["message"], fields
    assert openai.balance == 10


async def test_all_that_is_wrong_is_said(openai):
    """Several faults are one answer, which then names no parameter apart."""
    error = assert_openai_error(await post(openai, n=9, quality="x", mask="y"), 400, "invalid_parameter")
    assert [name for name in ("n must", "quality must", "mask is not") if name not in error["message"]] == []


FILES = [
    ([("image[]", PICTURE), ("image[]", PICTURE)], "image", "edits one picture"),
    ([("image", PICTURE), ("mask", PICTURE)], "mask", "in the prompt"),
    ([("image", PICTURE), ("images", PICTURE)], "image", "one picture"),
    ([("photo", PICTURE)], "photo", "only image can"),
    ([("image", PICTURE), ("size", b"auto")], "size", "can't be a file"),
    ([("image", PICTURE), ("n", (None, "1")), ("n", (None, "2"))], "n", "more than once"),
]


async def test_files_that_are_refused(openai):
    """A form has one file, the image."""
    for files, param, words in FILES:
        error = assert_openai_error(await post(openai, files=files), 400, "invalid_parameter", param=param)
        assert words in error["message"]


IMAGES = [
    (None, "invalid_parameter", "image must be one picture"),
    ([], "invalid_parameter", "image must be one picture"),
    ([{"file_id": "x"}], "invalid_parameter", "image must be one picture"),
    ([data_uri(PICTURE)] * 2, "invalid_parameter", "image must be one picture"),
    (5, "invalid_parameter", "image must be one picture"),
    ("file:///etc/passwd", "invalid_parameter", "image's URL must start with http"),
    (data_uri(b"hello"), "invalid_image", "not a picture"),
    ("http://gateway.test/files/outputs/x/1.png", "invalid_image", "image is a URL of this server"),
]


async def test_images_that_are_refused(openai):
    """A picture that is none, or of which there isn't one, is the image's fault."""
    for image, code, words in IMAGES:
        response = await openai.http.post(EDITS, json={"prompt": "x", "image": image})
        error = assert_openai_error(response, 400, code, param="image")
        assert words in error["message"]
        assert "input_image" not in error["message"]


async def test_other_models(openai):
    """Another model is a 404 that names the one there is."""
    response = await post(openai, model="gpt-image-2")
    error = assert_openai_error(response, 404, "model_not_found", param="model")
    assert SLUG in error["message"]


async def test_keys(openai):
    """The key comes as a bearer token, in OpenAI's errors too."""
    wrong = {"kind": "authentication_error"}
    for headers, code in (
        ({"authorization": ""}, "missing_key"),
        ({"authorization": "", "x-api-key": openai.secret}, "missing_key"),
        ({"authorization": "Bearer SG_0"}, "invalid_key"),
        ({"authorization": f"Basic {openai.secret}"}, "missing_key"),
    ):
        assert_openai_error(await post(openai, headers=headers), 401, code, **wrong)
    reader = {"authorization": f"Bearer {openai.new_key(may_edit=False)}"}
    assert_openai_error(await post(openai, headers=reader), 403, "forbidden", kind="permission_error")


async def test_bodies_that_are_none(start):
    """What can't be read, and what is too large, is told in the same shape."""
    openai = bearer(await start(max_body_mb=0.1))

    async def send(body: bytes, kind: str) -> httpx.Response:
        return await openai.http.post(EDITS, content=body, headers={"content-type": kind})

    assert_openai_error(await send(b"{", "application/json"), 400, "invalid_json")
    assert_openai_error(await send(b"[1]", "application/json"), 400, "invalid_json")
    surrogate = await send(json.dumps(BODY | {"\ud800": 1}).encode(), "application/json")
    assert_openai_error(surrogate, 400, "invalid_parameter", param="?")
    assert_openai_error(await send(b"x", "text/plain"), 400, "unsupported_media_type")
    assert_openai_error(await send(b"x", "multipart/form-data; boundary=a"), 400, "invalid_form")
    assert_openai_error(await send(b"x" * 200_000, "application/json"), 413, "payload_too_large")
    assert_openai_error(await post(openai, files={"image": os.urandom(200_000)}), 413, "payload_too_large")


async def test_the_wrong_method(openai):
    """A 405 of this path has the shape of its other errors."""
    response = await openai.http.get(EDITS)
    assert_openai_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


async def test_a_limited_key(openai):
    """A rate limit is one of OpenAI's: clients wait and try again."""
    bearer(openai, openai.new_key(rpm=1))
    await edited(openai)
    response = await post(openai)
    assert_openai_error(response, 429, "rate_limited", **RATE)
    assert ("true", "1") == (response.headers["x-should-retry"], response.headers["x-rate-limit-limit"])
    assert int(response.headers["retry-after"]) >= 1


async def test_not_enough_credits(openai):
    """Without credits it is a quota; trying again is of no use."""
    bearer(openai, openai.new_key(openai.new_account("poor", 30_000)))
    response = await post(openai)
    assert "0.03" in assert_openai_error(response, 406, "insufficient_credits", **QUOTA)["message"]
    assert response.headers["x-should-retry"] == "false"


async def test_all_pictures_or_none(openai):
    """Where credits are enough for some of the pictures only, none is made."""
    account = openai.new_account("poor", 100_000)
    bearer(openai, openai.new_key(account))
    error = assert_openai_error(await post(openai, n=4), 406, "insufficient_credits", **QUOTA)
    assert "picture 3 of 4" in error["message"]
    assert (0, 100_000) == (openai.services.store.queue_depth(), openai.services.store.balance(account.id))


async def test_a_failure_cancels_the_others(openai):
    """One of several that failed is the answer; what has not ended is cancelled and free."""
    answer = post(openai, n=3)
    verdict = {"stage": "output", "category": "nsfw", "score": 0.97, "threshold": 0.8}
    await work(openai, 2, {1: lambda: openai.worker.fail("blocked", "no", moderation=verdict)})
    response = await answer
    error = assert_openai_error(response, 422, "moderation_blocked")
    assert (verdict, response.headers["x-request-id"]) == (error["moderation"], error["request_id"])
    assert (0, 9.96) == (openai.services.store.queue_depth(), openai.balance)


@pytest.mark.parametrize(
    ("code", "status", "kind", "param"),
    [
        ("fetch_failed", 400, "invalid_request_error", "image"),
        ("inference_failed", 422, "invalid_request_error", None),
        ("worker_lost", 502, "server_error", None),
        ("internal", 500, "server_error", None),
    ],
)
async def test_failures(openai, code, status, kind, param):
    """A request that FAILED has the status of its code, and isn't run again by itself."""
    answer = post(openai)
    await asyncio.to_thread(openai.worker.fail, code, "the reason")
    response = await answer
    error = assert_openai_error(response, status, code, kind=kind, param=param)
    assert ("the reason", "false") == (error["message"], response.headers["x-should-retry"])
    assert openai.balance == 10


async def test_not_in_time(start):
    """A 504 names what goes on; a client may come back for it only by its Idempotency-Key."""
    openai = bearer(await start(sync_timeout=0.05))
    for headers, again in (({}, "false"), ({"idempotency-key": "k"}, "true")):
        response = await post(openai, headers=headers)
        error = assert_openai_error(response, 504, "timeout", **SERVER)
        assert (error["request_id"], again) == (response.headers["x-request-id"], response.headers["x-should-retry"])
        assert f"/v2/requests/{error['request_id']}" in error["message"]
    assert openai.services.store.queue_depth() == 2


async def test_draining(openai):
    """A server that stops takes nothing in, and lets go of what waits."""
    answer = post(openai)
    await soon(openai.services.store.queue_depth)
    openai.services.draining = True
    openai.services.store.report_worker("another", state="loading")
    assert_openai_error(await answer, 504, "timeout", **SERVER)
    response = await post(openai)
    assert_openai_error(response, 503, "draining", **SERVER)
    assert ("true", "10") == (response.headers["x-should-retry"], response.headers["retry-after"])


class FlakyStore(Store):
    """A store that fails in places."""

    submits_left = 1
    cancels = True
    broken = False

    def submit(self, *args: Any, **options: Any) -> Any:
        if not self.submits_left:
            raise StoreUnavailable("sqlite", "locked")
        self.submits_left -= 1
        return super().submit(*args, **options)

    def cancel(self, job_id: str, account_id: int) -> Any:
        if not self.cancels:
            raise StoreUnavailable("sqlite", "locked")
        return super().cancel(job_id, account_id)

    def job(self, job_id: str, account_id: int) -> Any:
        if self.broken:
            raise RuntimeError("secret-detail")
        return super().job(job_id, account_id)


@pytest.fixture
def flaky(openai):
    """The gateway over a store that fails after one submit."""
    store = FlakyStore.open(openai.services.settings.database, clock=openai.clock)
    openai.services = dataclasses.replace(openai.services, store=store, watcher=Watcher(store))
    yield openai
    store.close()


async def send_to(gateway: Gateway, **fields: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {gateway.secret}"}
    async with connect(create_app(gateway.services)) as http:
        return await http.post(EDITS, data=FORM | fields, files={"image": PICTURE}, headers=headers)


async def test_storage_that_fails_between_two(flaky):
    """If all could be taken back, it is safe to try again; if not, what goes on is named, and isn't run twice."""
    assert_openai_error(response := await send_to(flaky, n=2), 503, "unavailable", **SERVER)
    assert (10, "true") == (flaky.balance, response.headers["x-should-retry"])
    flaky.services.store.submits_left, flaky.services.store.cancels = 1, False
    assert_openai_error(response := await send_to(flaky, n=2), 504, "timeout", **SERVER)
    assert (9.96, "false") == (flaky.balance, response.headers["x-should-retry"])


async def test_a_defect_tells_nothing(flaky, logs):
    """What we did wrong is logged, and nothing of it told; nobody tries it again by himself."""
    flaky.services.store.broken = True
    response = await send_to(flaky)
    assert_openai_error(response, 500, "internal", **SERVER)
    assert "secret-detail" not in response.text
    assert response.headers["x-should-retry"] == "false"
    logs.remove(next(entry for entry in logs if entry["event"] == "defect"))


class UnreadableBlobs(Blobs):
    """Storage that takes files and doesn't give them back."""

    def __init__(self) -> None:
        """There is nothing behind it."""

    def put(self, key: str, data: Any) -> None:
        """Takes it."""

    def get(self, key: str) -> bytes:
        raise BlobsUnavailable(key, "can't be reached", "secret-host refused")


async def test_an_output_that_cannot_be_read(openai):
    """What is charged must not invite a repeat."""
    openai.services.blobs = UnreadableBlobs()
    answer = post(openai)
    await work(openai)
    response = await answer
    assert_openai_error(response, 504, "timeout", **SERVER)
    assert ("false", False) == (response.headers["x-should-retry"], "secret-host" in response.text)


async def test_an_output_that_was_erased(openai):
    """An owner who erases the result before it is sent gets none."""
    answer = post(openai)
    claim = await asyncio.to_thread(openai.worker.take)
    key = {"x-api-key": openai.secret}
    await openai.http.delete(f"/v2/requests/{claim.job_id}", headers=key)
    openai.worker.complete(claim)
    assert_openai_error(await answer, 422, "cancelled")

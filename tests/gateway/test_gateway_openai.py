"""OpenAI's images edit: its parameters are an edit's, its answers have its shape, the requests are ours."""

import asyncio
import base64
import json

import pytest

from openkontext.contract import SLUG
from tests.gateway.harness import PICTURE, Live, connect, data_uri
from tests.gateway.openai_shape import BODY, EDITS, assert_openai_error, bearer, edited, post, work
from tests.service import eventually


@pytest.fixture
async def openai(gateway):
    """The gateway, asked with a bearer key alone."""
    return bearer(gateway)


async def test_a_form_with_a_picture(openai):
    """The picture comes back in base64, with its real size, and with v1's headers."""
    response, (claim,) = await edited(openai)
    item = {"b64_json": base64.b64encode(PICTURE).decode(), "seed": str(claim.parameters["seed"])}
    assert response.json() == {
        "created": 1_800_000_000,
        "data": [item | {"request_id": claim.job_id}],
        "output_format": "png",
        "size": "48x32",
    }
    expected = {
        "x-request-id": claim.job_id,
        "x-cost": "0.04",
        "x-remaining-credits": "9.96",
        "x-rate-limit-reset-at-utc": "2027-01-15T08:00:00Z",
        "cache-control": "no-store",
        "content-type": "application/json",
    }
    assert expected == {name: response.headers[name] for name in expected}
    assert openai.services.blobs.get(claim.input["key"]) == PICTURE


async def test_what_an_edit_is_by_default(openai):
    """Everything left out is as in an edit of ours, but for the seed, which is drawn."""
    seeds = set()
    for _ in range(2):
        _, (claim,) = await edited(openai)
        seeds.add(claim.parameters.pop("seed"))
        assert claim.parameters == {
            "prompt": "make it snow",
            "aspect_ratio": "match_input_image",
            "guidance": 7,
            "num_inference_steps": 35,
            "output_format": "png",
            "output_quality": 90,
            "disable_safety_checker": False,
        }
    assert len(seeds) == 2


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"size": "1024x1024", "quality": "low"}, {"aspect_ratio": "1:1", "num_inference_steps": 8}),
        ({"size": "1536x1024", "quality": "high"}, {"aspect_ratio": "3:2", "num_inference_steps": 35}),
        ({"output_format": "jpeg", "output_compression": 0}, {"output_format": "jpg", "output_quality": 0}),
        ({"seed": 7, "guidance": 3.5, "num_inference_steps": 4, "quality": "max"}, {
            "seed": 7, "guidance": 3.5, "num_inference_steps": 4,
        }),
        ({"model": SLUG, "user": "", "background": "auto", "moderation": "auto", "stream": "false", "n": 1}, {}),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
async def test_parameters(openai, fields, expected):
    """OpenAI's parameters, and ours beside them, are those of the edit."""
    response, (claim,) = await edited(openai, **fields)
    assert expected == {name: claim.parameters[name] for name in expected}
    assert fields.get("output_format", "png") == response.json()["output_format"]


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        {"prompt": "x", "image": [data_uri(PICTURE)]},
        {"prompt": "x", "image": {"image_url": data_uri(PICTURE)}},
        {"prompt": "x", "images": [{"image_url": data_uri(PICTURE)}]},
        BODY | {"mask": None, "n": None, "size": None, "stream": False, "user": None, "background": None},
    ],
    ids=lambda body: str(sorted(body)) + str(type(body.get("image"))),
)
async def test_json(openai, body):
    """JSON has the picture as a data URL, in each of the shapes that clients write; null is as good as absent."""
    answer = asyncio.create_task(openai.http.post(EDITS, json=body))
    (claim,) = await work(openai)
    assert (await answer).status_code == 200
    assert openai.services.blobs.get(claim.input["key"]) == PICTURE


async def test_pictures_by_address(openai):
    """A URL is left for the worker; one of an upload needs no fetch."""
    upload = await openai.http.post("/upload-asset", files={"a": PICTURE}, headers={"x-api-key": openai.secret})
    addresses = {"https://example.com/a.png": "url", upload.json()["urls"][0]: "blob"}
    for url, kind in addresses.items():
        answer = asyncio.create_task(openai.http.post(EDITS, json={"prompt": "x", "images": [{"image_url": url}]}))
        (claim,) = await work(openai)
        assert (200, kind) == ((await answer).status_code, claim.input["kind"])


async def test_names_of_lists(openai):
    """One file in a list is one picture."""
    answer = post(openai, files={"image[]": ("a.png", PICTURE)})
    await work(openai)
    assert (await answer).status_code == 200


async def test_several_pictures(openai):
    """n pictures are n requests with seeds in a row, each charged, answered in their order."""
    answer = post(openai, n=3, seed=5)
    claims = [await asyncio.to_thread(openai.worker.take) for _ in range(3)]
    for claim in reversed(claims):
        openai.worker.complete(claim)
    response = await answer
    data = response.json()["data"]
    assert ["5", "6", "7"] == [each["seed"] for each in data]
    by_seed = {claim.parameters["seed"]: claim.job_id for claim in claims}
    assert [by_seed[5], by_seed[6], by_seed[7]] == [each["request_id"] for each in data]
    assert ("0.12", "9.88") == (response.headers["x-cost"], response.headers["x-remaining-credits"])
    assert (data[0]["request_id"], 9.88) == (response.headers["x-request-id"], openai.balance)


async def test_several_pictures_of_drawn_seeds(openai):
    """Without a seed each picture has one of its own."""
    response, _ = await edited(openai, jobs=4, n=4)
    assert len({each["seed"] for each in response.json()["data"]}) == 4


async def test_addresses(openai):
    """response_format url answers addresses that serve the pictures, without a key."""
    response, _ = await edited(openai, jobs=2, n=2, response_format="url")
    data = response.json()["data"]
    assert [["request_id", "seed", "url"]] * 2 == [sorted(each) for each in data]
    async with connect(openai.app) as http:
        assert [PICTURE] * 2 == [(await http.get(each["url"])).content for each in data]


async def test_warnings(openai):
    """What the result warns of is told."""
    answer = post(openai)
    await asyncio.to_thread(lambda: openai.worker.complete(warnings=("the prompt was cut",)))
    assert (await answer).json()["data"][0]["warnings"] == ["the prompt was cut"]


async def test_the_same_again(openai):
    """An Idempotency-Key answers the same requests again, n of them, charged once; another body is a conflict."""
    headers = {"idempotency-key": "mine"}
    answer = post(openai, n=2, headers=headers)
    await work(openai, 2)
    first, again = await answer, await post(openai, n=2, headers=headers)
    assert first.json() == again.json()
    assert (9.92, "true") == (openai.balance, again.headers["idempotency-replayed"])
    other = await post(openai, n=2, headers=headers, prompt="another")
    assert_openai_error(other, 409, "idempotency_conflict")
    assert other.headers["x-should-retry"] == "false"
    assert_openai_error(await post(openai, n=3, headers=headers), 409, "idempotency_conflict")
    assert_openai_error(await post(openai, headers={"idempotency-key": "two words"}), 400, "invalid_parameter")


async def test_a_refusal_is_not_remembered(openai):
    """After some of the pictures were refused, the same Idempotency-Key begins anew."""
    account = openai.new_account("poor", 50_000)
    bearer(openai, openai.new_key(account))
    headers = {"idempotency-key": "mine"}
    for _ in range(2):
        assert_openai_error(
            await post(openai, n=2, headers=headers), 406, "insufficient_credits", kind="insufficient_quota"
        )
    openai.services.store.add_credits(account.id, 50_000)
    answer = post(openai, n=2, headers=headers)
    await work(openai, 2)
    assert (await answer).status_code == 200
    assert openai.services.store.balance(account.id) == 20_000


async def test_a_failure_is_remembered(openai):
    """A failed set answers its failure again, not the cancels that it caused."""
    headers = {"idempotency-key": "mine"}
    answer = post(openai, n=2, headers=headers)
    await asyncio.to_thread(openai.worker.fail)
    for response in (await answer, await post(openai, n=2, headers=headers)):
        assert_openai_error(response, 422, "inference_failed")
    assert (0, 10) == (openai.services.store.queue_depth(), openai.balance)


async def test_delivered_once(openai):
    """For a key that keeps nothing the pictures are gone once they were sent."""
    bearer(openai, openai.new_key(retention=0))
    response, claims = await edited(openai, jobs=2, n=2)
    assert len(response.json()["data"]) == 2
    assert openai.blobs == set()
    for claim in claims:
        polled = await openai.http.get(f"/v2/requests/{claim.job_id}", headers={"x-api-key": openai.secret})
        assert polled.status_code == 404


def ask(live: Live, *headers: str) -> bytes:
    """The bytes of a request for two pictures."""
    body = json.dumps(BODY | {"n": 2, "seed": 1}).encode()
    lines = [f"POST {EDITS} HTTP/1.1", f"host: 127.0.0.1:{live.port}", f"authorization: Bearer {live.secret}", *headers]
    lines += ["content-type: application/json", f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def kinds(live: Live) -> list[str]:
    return [entry.kind for entry in live.services.store.ledger(live.account.id)]


def test_hanging_up(live):
    """A client that hangs up cancels all its pictures."""
    with live.connect() as connection:
        connection.sendall(ask(live))
        eventually(lambda: live.services.store.queue_depth() == 2)
    eventually(lambda: kinds(live) == ["grant", "hold", "hold", "release", "release"])


def test_coming_back(live):
    """With an Idempotency-Key it may hang up, and come back for what was made meanwhile."""
    with live.connect() as connection:
        connection.sendall(ask(live, "idempotency-key: mine"))
        eventually(lambda: live.services.store.queue_depth() == 2)
    for _ in range(2):
        live.worker.complete()
    with live.connect() as connection:
        connection.sendall(ask(live, "idempotency-key: mine"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert kinds(live) == ["grant", "hold", "hold", "take", "take"]

"""The unmodified `openai` client, sync and async: edits, addresses, and errors as the classes it has for them."""

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image

from openkontext.gateway import Services
from openkontext.settings import Settings
from tests.end_to_end.web import picture
from tests.gateway.harness import PICTURE, Live, data_uri, serving

PROMPT = "make it snow"


@contextmanager
def gateway(data: Path, **settings: Any) -> Iterator[Live]:
    """The gateway on a socket, with a scripted worker."""
    data.mkdir()
    services = Services.open(Settings(data=data, **settings))
    services.store.migrate()
    with serving(services) as running:
        yield running


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with gateway(tmp_path_factory.mktemp("openai") / "data") as running:
        yield running


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.secret, timeout=30) as client:
        yield client


@contextmanager
def working(live: Live, *endings: Any) -> Iterator[list[Any]]:
    """The worker does these, one after the other, meanwhile; gives what it took."""
    claims: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(lambda: claims.extend(ending() for ending in endings))
        yield claims
        done.result()


def holds(live: Live) -> int:
    """How many requests were accepted."""
    return sum(entry.kind == "hold" for entry in live.services.store.ledger(live.account.id))


def test_an_edit(client, live, tmp_path):
    """A file goes in, base64 comes out, and the parameters arrive as they were meant."""
    path = tmp_path / "photo.png"
    path.write_bytes(PICTURE)
    with working(live, live.worker.complete) as claims, path.open("rb") as file:
        result = client.images.edit(
            image=file,
            prompt=PROMPT,
            model="flux-kontext-dev",
            size="1536x1024",
            quality="medium",
            output_format="webp",
            output_compression=80,
            background="auto",
            user="somebody",
            extra_body={"seed": 5, "guidance": 2.5},
        )
    assert [PICTURE] == [base64.b64decode(each.b64_json) for each in result.data]
    assert ("webp", "48x32", claims[0].job_id) == (result.output_format, result.size, result._request_id)
    expected = {"prompt": PROMPT, "aspect_ratio": "3:2", "num_inference_steps": 20, "seed": 5, "guidance": 2.5}
    expected |= {"output_format": "webp", "output_quality": 80, "disable_safety_checker": False}
    assert expected == claims[0].parameters
    assert live.services.blobs.get(claims[0].input["key"]) == PICTURE


@pytest.mark.parametrize(
    "image",
    [PICTURE, ("a.png", PICTURE, "image/png"), [PICTURE], io.BytesIO(PICTURE)],
    ids=lambda image: type(image).__name__,
)
def test_pictures_as_the_client_takes_them(client, live, image):
    """Bytes, a tuple, a list of one and a file object are all one picture."""
    with working(live, live.worker.complete) as claims:
        client.images.edit(image=image, prompt=PROMPT)
    assert live.services.blobs.get(claims[0].input["key"]) == PICTURE


def test_two_addresses(client, live):
    """n pictures by address, each reachable without the key."""
    with working(live, live.worker.complete, live.worker.complete):
        result = client.images.edit(image=PICTURE, prompt=PROMPT, n=2, response_format="url")
    with live.http() as http:
        del http.headers["x-api-key"]
        assert [PICTURE] * 2 == [http.get(each.url).content for each in result.data]


def test_json(client, live):
    """What the client sends as JSON when asked to."""
    body = {"prompt": PROMPT, "images": [{"image_url": data_uri(PICTURE)}]}
    with working(live, live.worker.complete):
        answer = client.post("/images/edits", body=body, cast_to=openai.types.ImagesResponse)
    assert base64.b64decode(answer.data[0].b64_json) == PICTURE


async def test_the_async_client(live):
    """The same with await."""
    async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key=live.secret, timeout=30) as client:
        with working(live, live.worker.complete, live.worker.complete):
            result = await client.images.edit(image=PICTURE, prompt=PROMPT, n=2)
        assert [PICTURE] * 2 == [base64.b64decode(each.b64_json) for each in result.data]
        with pytest.raises(openai.BadRequestError) as caught:
            await client.images.edit(image=PICTURE, prompt=" ")
    assert ("prompt", "invalid_parameter") == (caught.value.param, caught.value.code)


@pytest.mark.parametrize(
    ("fields", "kind", "status", "code", "param"),
    [
        ({"n": 5}, openai.BadRequestError, 400, "invalid_parameter", "n"),
        ({"mask": PICTURE}, openai.BadRequestError, 400, "invalid_parameter", "mask"),
        ({"image": [PICTURE, PICTURE]}, openai.BadRequestError, 400, "invalid_parameter", "image"),
        ({"image": b"hello"}, openai.BadRequestError, 400, "invalid_image", "image"),
        ({"background": "transparent"}, openai.BadRequestError, 400, "invalid_parameter", "background"),
        ({"svg": {"model": "x"}}, openai.BadRequestError, 400, "invalid_parameter", "svg"),
        ({"model": "gpt-image-2"}, openai.NotFoundError, 404, "model_not_found", "model"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_is_refused(client, live, fields, kind, status, code, param):
    """Each error is the client's class for it, with our code, the parameter, and a message that helps."""
    before = holds(live)
    with pytest.raises(kind) as caught:
        client.images.edit(**{"image": PICTURE, "prompt": PROMPT} | fields)
    error = caught.value
    assert (status, code, param) == (error.status_code, error.code, error.param)
    assert error.body["message"] in str(error)
    assert before == holds(live)


def test_streaming_is_refused(client):
    """A stream that we don't have is an error before anything streams."""
    with pytest.raises(openai.BadRequestError, match="stream must be false"):
        client.images.edit(image=PICTURE, prompt=PROMPT, stream=True)


def test_keys(client, live):
    """A wrong key, one that may not, one of an empty account and one that is too fast."""
    store = live.services.store
    poor = store.create_account("poor")
    edit = {"image": PICTURE, "prompt": PROMPT}
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="SG_0").images.edit(**edit)
    reader = store.create_key(live.account.id, may_edit=False)[1]
    with pytest.raises(openai.PermissionDeniedError):
        client.with_options(api_key=reader).images.edit(**edit)
    with pytest.raises(openai.APIStatusError) as caught:
        client.with_options(api_key=store.create_key(poor.id)[1]).images.edit(**edit)
    assert (406, "insufficient_quota") == (caught.value.status_code, caught.value.type)
    slow = client.with_options(api_key=store.create_key(live.account.id, rpm=1)[1], max_retries=0)
    with working(live, live.worker.complete):
        slow.images.edit(**edit)
    with pytest.raises(openai.RateLimitError) as caught:
        slow.images.edit(**edit)
    assert int(caught.value.response.headers["retry-after"]) <= 60


def test_a_block(client, live):
    """What the safety checker blocked is said, and asked for once."""
    before = holds(live)
    blocked = pytest.raises(openai.UnprocessableEntityError, match="the result was blocked")
    with working(live, lambda: live.worker.fail("blocked", "the result was blocked")), blocked as caught:
        client.images.edit(image=PICTURE, prompt=PROMPT)
    assert ("moderation_blocked", before + 1) == (caught.value.code, holds(live))


def test_no_second_charge(tmp_path):
    """What isn't done in time the client doesn't send again by itself; with an Idempotency-Key it does, for free."""
    with gateway(tmp_path / "data", sync_timeout=0.1) as slow:
        with openai.OpenAI(base_url=f"{slow.url}/v1", api_key=slow.secret, timeout=30, max_retries=1) as client:
            for headers in ({}, {"Idempotency-Key": "mine"}):
                with pytest.raises(openai.InternalServerError) as caught:
                    client.images.edit(image=PICTURE, prompt=PROMPT, extra_headers=headers)
                assert (504, "timeout") == (caught.value.status_code, caught.value.code)
        assert holds(slow) == 2


def test_the_whole_service(service):
    """From the client through queue and model and back."""
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=service.key, timeout=120) as client:
        result = client.images.edit(
            image=picture(), prompt=PROMPT, n=2, output_format="jpeg", extra_body={"num_inference_steps": 4}
        )
    for each in result.data:
        with Image.open(io.BytesIO(base64.b64decode(each.b64_json))) as image:
            assert ("JPEG", "144x96") == (image.format, f"{image.width}x{image.height}")
    assert "144x96" == result.size

"""Estimates: what an edit would cost and take, or the error that its submit would be."""

import pytest

from openkontext.contract.sizes import output_size
from tests.gateway.harness import EDIT, SUBMIT, Gateway, assert_error, data_uri, picture

ESTIMATE = f"{SUBMIT}/estimate"
MEGAPIXEL = 1024 * 1024


async def estimate(gateway: Gateway, **changes) -> dict:
    response = await gateway.http.post(ESTIMATE, json=EDIT | changes)
    assert response.status_code == 200, response.text
    return response.json()


def work(gateway: Gateway, name: str = "one", state: str = "ready", area: int = MEGAPIXEL) -> None:
    """A worker is there."""
    gateway.services.store.report_worker(name, state=state, checkpoint="c", max_area=area)


def measured(gateway: Gateway, width: int, height: int) -> None:
    """A step took half a second, the rest two."""
    gateway.services.store.note_timing("c", width, height, step_seconds=0.5, other_seconds=2.0)


async def test_nothing_is_known(gateway):
    """Without a worker, the price is all that is known."""
    unknown = dict.fromkeys(("width", "height", "queue_seconds", "run_seconds"))
    assert await estimate(gateway) == {"cost": 0.04} | unknown


async def test_a_worker_that_measured(gateway):
    """Size by the worker's checkpoint, time by what its edits took, steps counted."""
    work(gateway)
    width, height = output_size(48 / 32, MEGAPIXEL)
    size = {"cost": 0.04, "width": width, "height": height, "queue_seconds": 0.0}
    assert await estimate(gateway) == size | {"run_seconds": None}
    measured(gateway, width, height)
    assert await estimate(gateway) == size | {"run_seconds": 4.0}
    assert await estimate(gateway, num_inference_steps=50) == size | {"run_seconds": 27.0}


async def test_the_size_is_what_the_worker_would_make(gateway):
    """By the ratio that is asked for, or the picture's as it is shown."""
    work(gateway)
    tall = data_uri(picture(20, 40, "JPEG"), "image/jpeg")
    bodies = {
        ratio: await estimate(gateway, input_image=tall, aspect_ratio=ratio)
        for ratio in ("match_input_image", "1:1", "21:9")
    }
    expected = {"match_input_image": 20 / 40, "1:1": 1.0, "21:9": 21 / 9}
    sizes = {ratio: (body["width"], body["height"]) for ratio, body in bodies.items()}
    assert sizes == {ratio: output_size(aspect, MEGAPIXEL) for ratio, aspect in expected.items()}


async def test_a_form(gateway):
    """A form with a file is estimated as well."""
    work(gateway)
    files = {"input_image": ("a.png", picture(40, 20), "image/png")}
    body = (await gateway.http.post(ESTIMATE, data={"prompt": "snow"}, files=files)).json()
    assert (body["width"], body["height"]) == output_size(2.0, MEGAPIXEL)


async def test_an_earlier_output(gateway):
    """A file of the server's own is looked at; one that is gone is the submit's 400."""
    work(gateway)
    earlier = await gateway.completed()
    body = await estimate(gateway, input_image=earlier["output"])
    assert (body["width"], body["height"]) == output_size(48 / 32, MEGAPIXEL)
    await gateway.http.delete(f"/v2/requests/{earlier['request_id']}")
    refused = await gateway.http.post(ESTIMATE, json=EDIT | {"input_image": earlier["output"], "aspect_ratio": "1:1"})
    assert "gone" in assert_error(refused, 400, "invalid_image")["error"]


async def test_a_picture_elsewhere(gateway):
    """Nothing is fetched: the shape isn't known, the time is a usual one's; a ratio that is asked for is known."""
    work(gateway)
    measured(gateway, *output_size(1.0, MEGAPIXEL))
    url = "https://example.com/a.png"
    body = await estimate(gateway, input_image=url)
    assert body == {"cost": 0.04, "width": None, "height": None, "queue_seconds": 0.0, "run_seconds": 4.0}
    body = await estimate(gateway, input_image=url, aspect_ratio="16:9")
    assert (body["width"], body["height"]) == output_size(16 / 9, MEGAPIXEL)


async def test_the_queue(gateway):
    """The wait is the work ahead, shared by the workers; with one to spare there is none."""
    measured(gateway, *output_size(1.0, MEGAPIXEL))
    await gateway.submit(num_inference_steps=20)
    assert (await estimate(gateway, aspect_ratio="1:1"))["queue_seconds"] is None
    work(gateway)
    assert (await estimate(gateway, aspect_ratio="1:1"))["queue_seconds"] == 10.0
    await gateway.submit(num_inference_steps=12)
    work(gateway, "two", "busy")
    assert (await estimate(gateway, aspect_ratio="1:1"))["queue_seconds"] == 8.0
    work(gateway, "three")
    assert (await estimate(gateway, aspect_ratio="1:1"))["queue_seconds"] == 0.0


async def test_workers_that_do_not_count(gateway):
    """One that loads, has crashed or was silent for long says nothing of the next edit."""
    for state in ("loading", "crashed", "draining", "stopped"):
        work(gateway, state, state)
    assert (await estimate(gateway))["width"] is None
    work(gateway)
    assert (await estimate(gateway))["width"] is not None
    gateway.clock.advance(16)
    assert (await estimate(gateway))["width"] is None


async def test_the_largest_checkpoint_decides(gateway):
    """Where workers differ, the estimate is of the larger picture."""
    work(gateway, "small", area=128 * 128)
    work(gateway, "large")
    body = await estimate(gateway, aspect_ratio="1:1")
    assert (body["width"], body["height"]) == output_size(1.0, MEGAPIXEL)


async def test_nothing_is_held_or_kept(gateway):
    """An estimate runs nothing, costs nothing, and takes no submit."""
    gateway.http.headers["x-api-key"] = gateway.new_key(rpm=1)
    await estimate(gateway)
    await estimate(gateway)
    assert (gateway.balance, gateway.blobs, gateway.services.store.queue_depth()) == (10, set(), 0)
    await gateway.submit()


async def test_credits_are_not_asked_for(gateway):
    """Who can't pay may know the price."""
    gateway.http.headers["x-api-key"] = gateway.new_key(gateway.new_account("poor", 0))
    assert (await estimate(gateway))["cost"] == 0.04


async def test_one_price(start):
    """Estimate, hold and charge are the same amount."""
    gateway = await start(price="1.234567")
    assert (await estimate(gateway))["cost"] == 1.234567
    body = await gateway.completed()
    assert (body["metrics"]["cost"], gateway.balance) == (1.234567, 8.765433)


@pytest.mark.parametrize(
    "changes",
    [
        {"promt": "x"},
        {"prompt": ""},
        {"guidance": "7"},
        {"input_image": "nonsense"},
        {"input_image": "data:image/png;base64,aGVsbG8="},
        {"input_image": "http://gateway.test/files/outputs/x/1.png?expires=1&signature=0"},
    ],
)
async def test_errors_are_the_submits(gateway, changes):
    """What submitting would be refused for, the estimate is refused for, in the same words."""
    answers = [await gateway.http.post(path, json=EDIT | changes) for path in (SUBMIT, ESTIMATE)]
    assert answers[0].status_code == 400
    assert [answer.json() for answer in answers] == [answers[0].json()] * 2

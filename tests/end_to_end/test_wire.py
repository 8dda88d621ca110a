"""The whole way of a request, with the real gateway, worker and model."""

import base64
import io

import httpx
import pytest
from PIL import Image

from tests.end_to_end.web import picture
from tests.service import eventually

SLUG = "flux-kontext-dev"
EDIT = {
    "input_image": "data:image/png;base64," + base64.b64encode(picture()).decode(),
    "prompt": "make the background a beach",
    "num_inference_steps": 4,
}


def ended(http, job):
    """The answer of a job's response address once it ended."""

    def look():
        answer = http.get(job["response_url"])
        return answer if answer.json()["status"] in ("COMPLETED", "FAILED") else None

    return eventually(look)


def run(http, **fields):
    """Submit over v2 and wait for the end."""
    answer = http.post(f"/v2/{SLUG}", json=EDIT | fields)
    assert answer.status_code == 200, answer.text
    return ended(http, answer.json())


def opened(data):
    """The picture of these bytes."""
    return Image.open(io.BytesIO(data))


def credits(http):
    """What the account can spend."""
    return http.get("/v1/get-user-credits").json()["credits"]


def test_an_edit_over_v2(http):
    """Submit, poll, fetch: the body says it all, and the output's address needs no key."""
    before = credits(http)
    body = run(http, seed=7).json()
    assert ("COMPLETED", "7", EDIT["prompt"]) == (body["status"], body["seed"], body["prompt"])
    (image,) = body["images"]
    assert (body["output"], "image/png") == (image["url"], image["content_type"])
    data = httpx.get(body["output"]).content
    assert str(len(data)) == image["file_size"]
    assert (144, 96) == opened(data).size
    metrics = body["metrics"]
    assert 0.04 == metrics["cost"]
    assert before - 0.04 == pytest.approx(metrics["remaining_credits"])
    assert 0 < metrics["inference_time"] <= metrics["total_time"]
    assert "retry_count" not in metrics
    assert body == http.get(f"/v1/requests/{body['request_id']}").json()


@pytest.mark.parametrize(
    ("form", "kind", "format"), [("png", "png", "PNG"), ("jpg", "jpeg", "JPEG"), ("webp", "webp", "WEBP")]
)
def test_an_edit_over_v1(http, form, kind, format):
    """One call answers the image's bytes, with its story in the headers."""
    answer = http.post(f"/v1/{SLUG}", json=EDIT | {"output_format": form, "seed": 11})
    assert (200, f"image/{kind}", "11") == (
        answer.status_code,
        answer.headers["content-type"],
        answer.headers["x-seed-value"],
    )
    assert format == opened(answer.content).format
    assert "0.04" == answer.headers["x-cost"]
    assert credits(http) == pytest.approx(float(answer.headers["x-remaining-credits"]))
    assert float(answer.headers["x-generation-time"]) > 0
    poll = http.get(f"/v1/requests/{answer.headers['x-request-id']}").json()
    assert answer.content == httpx.get(poll["output"]).content


@pytest.mark.parametrize(
    ("ratio", "size"),
    [("1:1", (128, 128)), ("16:9", (176, 96)), ("9:16", (96, 176)), ("3:2", (144, 96)), ("21:9", (192, 80))],
)
def test_the_output_has_the_asked_for_shape(http, ratio, size):
    """Sides are multiples of 16 near the ratio; the area is the checkpoint's."""
    answer = http.post(f"/v1/{SLUG}", json=EDIT | {"aspect_ratio": ratio})
    width, height = opened(answer.content).size
    wanted = size[0] / size[1]
    assert (0, 0) == (width % 16, height % 16)
    assert wanted == pytest.approx(width / height, rel=0.08)


def test_the_same_seed_gives_the_same_pixels_and_another_others(http):
    """Reproducible, and not constant."""
    first, again, other = (http.post(f"/v1/{SLUG}", json=EDIT | {"seed": seed}).content for seed in (3, 3, 4))
    assert opened(first).tobytes() == opened(again).tobytes()
    assert opened(first).tobytes() != opened(other).tobytes()


def test_a_form_does_what_json_does(http):
    """The same edit by multipart gives the same pixels."""
    texts = {"prompt": EDIT["prompt"], "num_inference_steps": "4", "seed": "3"}
    form = http.post(f"/v1/{SLUG}", data=texts, files={"input_image": ("a.png", picture(), "image/png")})
    json = http.post(f"/v1/{SLUG}", json=EDIT | {"seed": 3})
    assert opened(json.content).tobytes() == opened(form.content).tobytes()


def test_a_url_and_an_output_are_inputs_too(http, pictures):
    """A picture on the web, then the edit of the edit."""
    first = run(http, input_image=f"{pictures}/picture.png").json()
    second = run(http, input_image=first["output"], prompt="turn it black and white").json()
    assert "COMPLETED" == second["status"]


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("missing.png", "fetch_failed", "404"),
        ("text.png", "invalid_image", "image"),
        ("truncated.png", "invalid_image", ""),
        ("wide.png", "invalid_image", "4:1"),
        ("redirect-to-private.png", "fetch_failed", ""),
    ],
)
def test_what_shows_only_when_fetching_fails_the_job_uncharged(http, pictures, path, code, says):
    """v2 is FAILED with 422 and its reason, v1 answers 400, and neither costs anything."""
    before = credits(http)
    answer = run(http, input_image=f"{pictures}/{path}")
    body = answer.json()
    assert (422, "FAILED", code) == (answer.status_code, body["status"], body["code"])
    assert says in body["error"]
    assert {"inference_time", "queue_time", "total_time"} == set(body["metrics"])
    sync = http.post(f"/v1/{SLUG}", json=EDIT | {"input_image": f"{pictures}/{path}"})
    assert (400, code, body["error"]) == (sync.status_code, sync.json()["code"], sync.json()["error"])
    assert before == credits(http)


def test_private_addresses_are_not_fetched(http, service):
    """The service's own port is a private address that nobody allowed; the answer tells nothing of what is there."""
    answer = run(http, input_image=f"http://127.0.0.1:{service.url.rpartition(':')[2]}/healthz")
    assert (422, "fetch_failed") == (answer.status_code, answer.json()["code"])


def test_a_long_prompt_is_cut_and_the_result_says_so(http):
    """Beyond the encoder's tokens nothing is read; the caller learns of it."""
    body = run(http, prompt="make it snow and " * 400).json()
    assert "COMPLETED" == body["status"]
    assert any("prompt" in warning for warning in body["warnings"])


def test_exif_orientation_decides_the_shape(http):
    """A phone's portrait, stored as a landscape, comes out as a portrait."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = picture(300, 200, "JPEG", exif=exif)
    uri = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    answer = http.post(f"/v1/{SLUG}", json=EDIT | {"input_image": uri})
    assert (96, 144) == opened(answer.content).size


def test_an_erased_result_is_gone_everywhere(http):
    """DELETE of an ended request: its body, its status and its file answer no more."""
    body = run(http).json()
    path = f"/v2/requests/{body['request_id']}"
    assert 204 == http.delete(path).status_code
    statuses = [http.get(p).status_code for p in (path, f"{path}/status", f"/v1/requests/{body['request_id']}")]
    assert [404, 404, 404] == statuses
    assert httpx.get(body["output"]).status_code in (403, 404)
    assert 404 == http.delete(path).status_code

"""Moderation as clients see it: what the words of a prompt cost on each way in, and on the command line."""

import json

import httpx
import openai
import pytest

import openkontext
from openkontext.contract import SLUG
from openkontext.safety.prompts import WordPolicy
from tests.end_to_end.test_cli import openkontext as command
from tests.end_to_end.web import picture

ABUSIVE = "make the woman naked"
MINORS = "a naked child"
VERDICT = {"stage": "prompt", "category": WordPolicy().judge(ABUSIVE).category, "score": 1.0, "threshold": 1.0}


def credits(http: httpx.Client) -> float:
    balance: float = http.get("/v1/get-user-credits").json()["credits"]
    return balance


@pytest.fixture(autouse=True)
def free(http):
    """Nothing that is blocked is charged, whichever way it came."""
    before = credits(http)
    yield
    assert before == credits(http)


def edit(http: httpx.Client, version: str, **fields: object) -> httpx.Response:
    image = http.post("/upload-asset", files={"file": ("a.png", picture(), "image/png")}).json()["file_urls"][0]
    return http.post(f"/{version}/{SLUG}", json={"input_image": image, "prompt": ABUSIVE} | fields)


def test_v2(http):
    """FAILED on both addresses, and in the stream's last event, with the same words."""
    accepted = edit(http, "v2").json()
    with http.stream("GET", f"/v2/requests/{accepted['request_id']}/events") as stream:
        lines = list(stream.iter_lines())
    done = json.loads(lines[lines.index("event: done") + 1].removeprefix("data: "))
    answers = [http.get(accepted[name]) for name in ("status_url", "response_url", "poll_url")]
    assert [422] * 3 == [answer.status_code for answer in answers]
    assert [done] * 3 == [answer.json() for answer in answers]
    assert ("FAILED", "blocked", VERDICT) == (done["status"], done["code"], done["moderation"])
    assert done["error"].startswith("The prompt was blocked by the safety checker: ")
    assert "cost" not in done["metrics"]


def test_v1(http):
    """422, at once."""
    answer = edit(http, "v1")
    assert (422, "blocked", VERDICT) == (answer.status_code, answer.json()["code"], answer.json()["moderation"])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_hard_rule(http, version):
    """A key that may disable the checker doesn't disable this; the parameter is in the history."""
    answer = edit(http, version, prompt=MINORS, disable_safety_checker=True)
    if version == "v2":
        with http.stream("GET", f"/v2/requests/{answer.json()['request_id']}/events") as stream:
            stream.read()
        answer = http.get(answer.json()["response_url"])
    assert (422, "sexual_minors") == (answer.status_code, answer.json()["moderation"]["category"])
    (newest,) = http.get("/v2/requests", params={"per_page": 1}).json()["requests"]
    assert ("blocked", True) == (newest["code"], newest["parameters"]["disable_safety_checker"])


def test_openais_client(service):
    """Its code for that is OpenAI's."""
    blocked = pytest.raises(openai.UnprocessableEntityError)
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=service.key, timeout=60) as client, blocked as caught:
        client.images.edit(image=picture(), prompt=ABUSIVE)
    assert ("moderation_blocked", VERDICT) == (caught.value.code, caught.value.body["moderation"])


@pytest.mark.parametrize("call", ["run", "run_sync"])
def test_the_sdk(service, call):
    """The exception has the verdict, from v1 and v2."""
    blocked = pytest.raises(openkontext.OpenkontextError)
    with openkontext.Client(service.key, service.url) as client, blocked as caught:
        getattr(client, call)(SLUG, input_image=picture(), prompt=ABUSIVE)
    assert ("blocked", VERDICT) == (caught.value.code, caught.value.moderation)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(picture())
    return path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([ABUSIVE], "error: The prompt was blocked by the safety checker"),
        ([MINORS, "--disable-safety-checker"], "sexual_minors score 1.00"),
        (["make it snow", "--safety-threshold", "0"], "error: The input image was blocked by the safety checker: nsfw"),
        (["make it snow", "--image-classifier", "/nowhere"], "error: classifier /nowhere: no such folder; give"),
    ],
)
def test_an_edit_without_a_server(photo, tmp_path, words, says):
    """Refused in one line with status 1, before a model is loaded."""
    done = command("edit", photo, *words, "--model", "/no/such/model", cwd=tmp_path)
    assert (1, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n")), done.stderr
    assert says in done.stderr
    assert not (tmp_path / "edited.png").exists()


def test_an_edit_that_nobody_checks(photo, tiny, tmp_path):
    """With the flag, at a threshold that blocks everything."""
    words = ("make it snow", "--disable-safety-checker", "--safety-threshold", "0", "--steps", "4")
    done = command("edit", photo, *words, "--model", tiny, cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert (tmp_path / "edited.png").exists()


def test_the_command_line_on_a_server(service, photo, tmp_path):
    """The server's reason is the line."""
    where = ("--server", service.url, "--api-key", service.key)
    done = command("edit", photo, ABUSIVE, *where, cwd=tmp_path)
    assert 1 == done.returncode
    assert "error: The prompt was blocked by the safety checker" in done.stderr
    done = command("edit", photo, MINORS, "--disable-safety-checker", *where, cwd=tmp_path)
    assert (1, True) == (done.returncode, "sexual_minors" in done.stderr)

"""Bodies: JSON and multipart, whole and broken."""

import json
from typing import Any

import pytest

from tests.gateway.harness import EDIT, PICTURE, RUN, SUBMIT, assert_error

TYPE = "content-type"
JSON = "application/json"


def with_field(text: str) -> bytes:
    """A JSON body of an edit that ends with this text."""
    return (json.dumps(EDIT)[:-1] + ", " + text + "}").encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[1]", "JSON object"),
        (b'"text"', "JSON object"),
        (b"null", "JSON object"),
        (b"{} {}", "not valid JSON"),
        (b"{'prompt': 'x'}", "not valid JSON"),
        (b"prompt=x", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b'{"prompt": "\xff"}', "not UTF-8"),
        (b"[" * 19_000, "too deeply"),
        (b"[" * 100_000, "20000 values"),
        (b'{"prompt": [' + b"[]," * 10_000 + b"0]}", "20000 values"),
        (with_field('"guidance": NaN'), "NaN"),
        (with_field('"guidance": Infinity'), "Infinity"),
        (with_field('"guidance": -Infinity'), "-Infinity"),
        (with_field('"seed": ' + "1" * 5000), "5000 digits"),
        (with_field('"seed": 8'), "'seed' is given twice"),
        (with_field('"prompt": "make it rain"'), "'prompt' is given twice"),
        (with_field('"promt": {"a": 1, "a": 2}'), "'a' is given twice"),
    ],
    ids=lambda value: repr(value[-40:]),
)
async def test_json_that_is_none(gateway, body, words):
    """What can't be read as one JSON object is a 400 that says why."""
    response = await gateway.http.post(SUBMIT, content=body, headers={TYPE: JSON})
    assert words in assert_error(response, 400, "invalid_json")["error"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"guidance": 1e999', "guidance must be a number from 0 to 10"),
        ('"guidance": ' + "9" * 90, "guidance must be a number from 0 to 10"),
        ('"output_quality": -' + "9" * 90, "output_quality must be an integer from 0 to 100"),
        ('"prompt2": "\\ud800"', "prompt2"),
        ('"\\ud800": 1', "is not a parameter"),
        ('"promt": 1', "did you mean prompt?"),
        ('"loras": []', "reserved"),
        ('"aspect_ratio": "\\udfff"', "aspect_ratio must be one of"),
        ('"aspect_ratio": ' + "[" * 900 + "]" * 900, "aspect_ratio must be one of"),
    ],
    ids=lambda value: value[:30],
)
async def test_json_of_wrong_parameters(gateway, text, words):
    """Strange values and names are named in a 400."""
    response = await gateway.http.post(SUBMIT, content=with_field(text), headers={TYPE: JSON})
    assert words in assert_error(response, 400, "invalid_parameter")["error"]


@pytest.mark.parametrize("prompt", ["\ud800", "a\0b", " \n", "", "a" * 10_001, None, 5, ["x"], {"a": 1}])
async def test_prompts_that_are_none(gateway, prompt):
    """A prompt is text, not blank, and no longer than said."""
    body = json.dumps(EDIT | {"prompt": prompt}).encode()
    response = await gateway.http.post(SUBMIT, content=body, headers={TYPE: JSON})
    assert "prompt" in assert_error(response, 400, "invalid_parameter")["error"]


async def test_every_wrong_parameter_is_named(gateway):
    """One answer tells of all that is wrong, with what is allowed."""
    wrong = {"guidance": "7", "seed": False, "num_inference_steps": 51, "output_format": "gif"}
    error = assert_error(await gateway.http.post(RUN, json=EDIT | wrong), 400, "invalid_parameter")["error"]
    assert [name for name in wrong if name not in error] == []
    assert "from 4 to 50" in error


async def test_nesting_of_any_depth(gateway):
    """Around the depth where Python gives up there is no crash."""
    for depth in range(900, 1100):
        body = b'{"prompt": ' + b"[" * depth + b"]" * depth + b"}"
        response = await gateway.http.post(SUBMIT, content=body, headers={TYPE: JSON})
        assert response.status_code == 400, depth


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json", None]
)
async def test_content_types_of_json(gateway, kind):
    """JSON by any of its names, and without one."""
    headers = {TYPE: kind} if kind else {}
    response = await gateway.http.post(SUBMIT, content=json.dumps(EDIT).encode(), headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "image/png", "nonsense", " "])
async def test_other_content_types(gateway, kind):
    """What is neither JSON nor a form is refused by its name."""
    response = await gateway.http.post(SUBMIT, content=json.dumps(EDIT).encode(), headers={TYPE: kind})
    assert "multipart/form-data" in assert_error(response, 400, "unsupported_media_type")["error"]


async def test_unicode_arrives_as_sent(gateway):
    """Prompts of any script, with emoji, come back the same."""
    prompt = "mache es schön 雪を降らせて 🌨️"
    assert (await gateway.completed(prompt=prompt))["prompt"] == prompt


TEXTS = {name: str(value) for name, value in EDIT.items() if name != "input_image"}
FILE = {"input_image": ("a.png", PICTURE, "image/png")}


async def test_a_form_with_a_file(gateway):
    """Texts are parsed to what they stand for, and the file is the picture."""
    more = {"guidance": "2.5", "output_quality": "0", "disable_safety_checker": "true", "output_format": "webp"}
    response = await gateway.http.post(SUBMIT, data=TEXTS | more, files=FILE)
    assert response.status_code == 200
    claim = gateway.worker.take()
    expected = {
        "prompt": "make it snow",
        "aspect_ratio": "match_input_image",
        "guidance": 2.5,
        "num_inference_steps": 4,
        "seed": 7,
        "output_format": "webp",
        "output_quality": 0,
        "disable_safety_checker": True,
    }
    assert expected == claim.parameters
    assert gateway.services.blobs.get(claim.input["key"]) == PICTURE


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"disable_safety_checker": "false"}, "disable_safety_checker", False),
        ({"disable_safety_checker": "0"}, "disable_safety_checker", False),
        ({"guidance": "7"}, "guidance", 7),
        ({"seed": "9223372036854775807"}, "seed", 2**63 - 1),
        ({"prompt": "7"}, "prompt", "7"),
    ],
)
async def test_texts_of_a_form(gateway, changes, name, value):
    """Numbers and booleans are parsed; texts stay texts."""
    assert (await gateway.http.post(SUBMIT, data=TEXTS | changes, files=FILE)).status_code == 200
    parsed = gateway.worker.take().parameters[name]
    assert (type(value), value) == (type(parsed), parsed)


@pytest.mark.parametrize("seed", ["", "-1"])
async def test_a_blank_seed_of_a_form(gateway, seed):
    """A seed left blank in a form is drawn too."""
    assert (await gateway.http.post(SUBMIT, data=TEXTS | {"seed": seed}, files=FILE)).status_code == 200
    assert 0 <= gateway.worker.take().parameters["seed"] < 2**63


async def test_a_form_with_the_picture_as_text(gateway):
    """A data URI or URL in a text part is as good as a file."""
    for image, kind in ((EDIT["input_image"], "blob"), ("https://example.com/a.png", "url")):
        files = {"input_image": (None, image)}
        assert (await gateway.http.post(SUBMIT, data=TEXTS, files=files)).status_code == 200
        assert gateway.worker.take().input["kind"] == kind


def form(*parts: tuple[str, Any]) -> dict[str, Any]:
    """A multipart request of exactly these parts."""
    return {"files": list(parts)}


PROMPT = ("prompt", (None, "make it snow"))
IMAGE = ("input_image", FILE["input_image"])


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (form(PROMPT, IMAGE, IMAGE), "invalid_form", "1"),
        (form(PROMPT, IMAGE, ("input_image", (None, "https://example.com/a.png"))), "invalid_parameter", "twice"),
        (form(PROMPT, ("input_image", (None, "https://example.com/a.png")), IMAGE), "invalid_parameter", "twice"),
        (form(PROMPT, PROMPT, IMAGE), "invalid_parameter", "prompt is given twice"),
        (form(PROMPT, ("mask", FILE["input_image"])), "invalid_parameter", "mask can't be a file"),
        (form(PROMPT, IMAGE, ("promt", (None, "x"))), "invalid_parameter", "did you mean prompt"),
        (form(IMAGE), "invalid_parameter", "prompt is missing"),
        (form(PROMPT), "invalid_parameter", "input_image is missing"),
        (form(PROMPT, IMAGE, ("guidance", (None, "hot"))), "invalid_parameter", "guidance must be"),
        (form(PROMPT, IMAGE, ("guidance", (None, "nan"))), "invalid_parameter", "guidance must be"),
        (form(PROMPT, IMAGE, ("seed", (None, "1.5"))), "invalid_parameter", "seed must be"),
        (form(PROMPT, IMAGE, ("disable_safety_checker", (None, "yes"))), "invalid_parameter", "true or false"),
        (form(PROMPT, ("input_image", ("a.png", b"", "image/png"))), "invalid_image", "empty"),
        (form(PROMPT, ("input_image", ("a.png", b"hello", "image/png"))), "invalid_image", "not a picture"),
        (form(PROMPT, IMAGE, *((f"field{n}", (None, "x")) for n in range(40))), "invalid_form", "32"),
    ],
)
async def test_forms_that_are_wrong(gateway, request_, code, words):
    """What is wrong with a form is named."""
    response = await gateway.http.post(SUBMIT, **request_)
    assert words in assert_error(response, 400, code)["error"]
    assert gateway.blobs == set()


async def test_numbers_of_a_form_beyond_any_bound(gateway):
    """A number of 400 digits is refused like any other that is too large."""
    for name in ("seed", "guidance", "output_quality"):
        response = await gateway.http.post(SUBMIT, data=TEXTS | {name: "9" * 400}, files=FILE)
        assert_error(response, 400, "invalid_parameter")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=a", b"x"),
        ("multipart/form-data; boundary=a", b"--a\r\nfoo\r\n\r\nx\r\n--a--"),
        ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a--\r\n"),
    ],
)
async def test_forms_that_are_broken(gateway, kind, body):
    """A form that can't be taken apart is a 400."""
    response = await gateway.http.post(SUBMIT, content=body, headers={TYPE: kind})
    assert_error(response, 400, "invalid_form")


@pytest.mark.parametrize(
    "ending", [b"", b"--a--", b'--a\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx\r\n']
)
async def test_forms_that_lack_parts(gateway, ending):
    """A form that is cut short has no more than arrived."""
    response = await gateway.http.post(SUBMIT, content=ending, headers={TYPE: "multipart/form-data; boundary=a"})
    assert "input_image is missing" in assert_error(response, 400, "invalid_parameter")["error"]

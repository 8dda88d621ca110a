"""OpenAI's images edit in terms of ours."""

import pytest

from openkontext.contract import ASPECT_RATIOS, MATCH_INPUT_IMAGE, SEED_MAX, Problem, openai, parse
from openkontext.contract.openai import PARAMETERS, QUALITIES, aspect_ratio

EDIT = {"prompt": "make it snow", "image": "https://example.com/a.png"}


@pytest.mark.parametrize("ratio", [ratio for ratio in ASPECT_RATIOS if ratio != MATCH_INPUT_IMAGE])
def test_sizes_of_every_ratio(ratio):
    """A size of exactly a ratio, or nearly, is that ratio."""
    width, height = map(int, ratio.split(":"))
    assert ratio == aspect_ratio(f"{width * 100}x{height * 100}") == aspect_ratio(f"{width * 100 + 3}x{height * 100}")


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ("auto", MATCH_INPUT_IMAGE),
        ("1024x1024", "1:1"),
        ("512x512", "1:1"),
        ("1536x1024", "3:2"),
        ("1024x1536", "2:3"),
        ("1792x1024", "16:9"),
        ("1024x1792", "9:16"),
        ("2560x1440", "16:9"),
        ("3840x2160", "16:9"),
        ("3000x1000", None),
        ("1000x3000", None),
        ("0x1024", None),
        ("1024", None),
        ("1024X1024", None),
        ("1024x1024 ", None),
        ("١٠٢٤x1024", None),
        ("", None),
    ],
)
def test_sizes(size, ratio):
    """Sizes are OpenAI's own and any other whose shape is near; what is none is refused."""
    assert ratio == aspect_ratio(size)


def test_no_size_between_two_ratios_is_refused():
    """From the longest to the tallest each shape has a ratio that is near."""
    assert None not in {aspect_ratio(f"{side}x1000") for side in range(429, 2334)}


@pytest.mark.parametrize("quality", QUALITIES)
def test_every_quality_is_an_edit(quality):
    """Whatever the quality, the fields are an edit's that the contract takes."""
    (fields,) = openai.parse(EDIT | {"quality": quality}).edits()
    parameters, image = parse(fields)
    assert (QUALITIES[quality], EDIT["image"]) == (parameters.num_inference_steps, image)


def test_defaults_are_allowed():
    """What is left out is what may be said."""
    said = {parameter.name: parameter.default for parameter in PARAMETERS if not parameter.required}
    assert openai.parse(EDIT | said | {"seed": None}) == openai.parse(EDIT | {"num_inference_steps": 35})


def test_seeds_in_a_row():
    """A seed is counted up, as far as seeds go; a blank one is blank for each."""
    top = openai.parse(EDIT | {"seed": SEED_MAX - 1, "n": 2})
    assert [SEED_MAX - 1, SEED_MAX] == [fields["seed"] for fields in top.edits()]
    for blank in (None, "", -1):
        assert [None] * 3 == [fields["seed"] for fields in openai.parse(EDIT | {"seed": blank, "n": 3}).edits()]
    with pytest.raises(Problem) as caught:
        openai.parse(EDIT | {"seed": SEED_MAX, "n": 2})
    assert {"param": "seed"} == caught.value.extra


def test_texts_of_a_form():
    """Numbers and booleans are read as JSON writes them; what is none stays as it is, and texts are left alone."""
    texts = {"n": "2", "guidance": "3.5", "stream": "false", "prompt": "12", "size": "1", "seed": "", "nothing": "1"}
    expected = {"n": 2, "guidance": 3.5, "stream": False, "prompt": "12", "size": "1", "seed": "", "nothing": "1"}
    assert expected == openai.from_form(texts)
    assert {"n": "two", "seed": "01"} == openai.from_form({"n": "two", "seed": "01"})


def test_an_error():
    """The parameter at fault goes by OpenAI's name."""
    body = {"error": "input_image is gone", "code": "invalid_image", "request_id": "r"}
    shape = {"message": "image is gone", "type": "invalid_request_error", "param": "image", "code": "invalid_image"}
    assert {"error": shape | {"request_id": "r"}} == openai.error(400, body)

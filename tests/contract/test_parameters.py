"""The contract's parameters: defaults, ranges, strict types, and words that help."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkontext.contract import (
    ASPECT_RATIOS,
    DEFAULTS,
    PARAMETERS,
    SEED_MAX,
    EditParameters,
    InvalidParameters,
    from_form,
    parse,
)

MINIMAL = {"input_image": "https://example.com/a.png", "prompt": "make it snow"}


def refusal(**fields):
    """The problems that `parse` finds in a minimal request with these fields."""
    with pytest.raises(InvalidParameters) as caught:
        parse(MINIMAL | fields)
    return caught.value.problems


def test_defaults_are_the_contracts():
    """A request that names only picture and prompt gets every default."""
    parameters, image = parse(MINIMAL)
    expected = EditParameters("make it snow", "match_input_image", 7, 35, 42, "png", 90, False)
    assert (expected, MINIMAL["input_image"]) == (parameters, image)


def test_defaults_of_the_table_and_of_the_dataclass_agree():
    """The table is the source; the dataclass repeats its defaults only for the type checker."""
    assert DEFAULTS == {name: getattr(EditParameters("x"), name) for name in DEFAULTS}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("guidance", 0),
        ("guidance", 10),
        ("guidance", 2.5),
        ("num_inference_steps", 4),
        ("num_inference_steps", 50),
        ("seed", 0),
        ("seed", SEED_MAX),
        ("output_quality", 0),
        ("output_quality", 100),
        ("disable_safety_checker", True),
        ("prompt", "a" * 10_000),
        *(("aspect_ratio", ratio) for ratio in ASPECT_RATIOS),
        *(("output_format", form) for form in ("png", "jpg", "webp")),
    ],
)
def test_allowed_values_are_taken_as_they_are(name, value):
    """The bounds themselves are allowed."""
    assert value == getattr(parse(MINIMAL | {name: value})[0], name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("guidance", value) for value in (-0.1, 10.1, "7", True, None, [], float("nan"), float("inf"))),
        *(("num_inference_steps", value) for value in (3, 51, 4.5, 8.0, "8", True, None)),
        *(("output_quality", value) for value in (-1, 101, 90.0, "90")),
        *(("output_format", value) for value in ("gif", "PNG ", "PNG", None, 1)),
        *(("aspect_ratio", value) for value in ("7:5", 1, "", None)),
        *(("seed", value) for value in (False, True, "x", 1.5, -1.0, -2, SEED_MAX + 1, 10**40, "42")),
        *(("disable_safety_checker", value) for value in ("no", 1, 0, None)),
        *(("prompt", value) for value in ("", "  \n", "a" * 10_001, 5, None, "a\0b", "\ud800")),
        *(("input_image", value) for value in ("", " ", 5, None)),
    ],
)
def test_wrong_values_are_refused_by_name(name, value):
    """Types are strict, and the one sentence names the parameter."""
    (problem,) = refusal(**{name: value})
    assert problem.startswith(f"{name} ")


@pytest.mark.parametrize("blank", [None, "", -1])
def test_a_blank_seed_is_drawn_anew(blank):
    """Each blank seed is another random one within the bounds."""
    seeds = {parse(MINIMAL | {"seed": blank})[0].seed for _ in range(5)}
    assert len(seeds) == 5
    assert all(0 <= seed <= SEED_MAX for seed in seeds)


def test_every_problem_is_named_at_once():
    """Nobody has to mend a request one error at a time."""
    with pytest.raises(InvalidParameters) as caught:
        parse({"promt": "x", "guidance": 11, "seed": "x"})
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "'promt'",
        "input_image",
        "prompt",
        "guidance",
        "seed",
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("promt", "did you mean prompt?"),
        ("steps", "known are input_image, prompt"),
        ("num_inference_step", "did you mean num_inference_steps?"),
        ("loras", "reserved and not supported yet"),
        ("num_outputs", "reserved and not supported yet"),
        ("mode", "reserved and not supported yet"),
    ],
)
def test_unknown_fields_say_what_was_probably_meant(name, hint):
    """A typo gets the nearest name; reserved names say that they are."""
    (problem,) = refusal(**{name: 1})
    assert hint in problem


def test_a_form_means_the_same_as_json():
    """Texts of a form parse to the values they stand for."""
    texts = {"guidance": "2.5", "num_inference_steps": "8", "seed": "", "disable_safety_checker": "true", "prompt": "7"}
    expected = {"guidance": 2.5, "num_inference_steps": 8, "seed": "", "disable_safety_checker": True, "prompt": "7"}
    assert expected == from_form(texts)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("guidance", "x"),
        ("guidance", "nan"),
        ("guidance", "9" * 400),
        ("num_inference_steps", "4.5"),
        ("num_inference_steps", "1_0"),
        ("seed", "1e3"),
        ("seed", "٤٢"),
    ],
)
def test_a_form_is_as_strict_as_json(name, text):
    """What doesn't parse is refused by name."""
    with pytest.raises(InvalidParameters, match=name):
        parse(from_form(MINIMAL | {name: text}))


@given(
    st.dictionaries(
        st.sampled_from([p.name for p in PARAMETERS]) | st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_whatever_comes_is_taken_or_refused_in_words(fields):
    """No JSON object makes `parse` fail otherwise than by InvalidParameters, and every message can be sent."""
    try:
        parse(MINIMAL | fields)
    except InvalidParameters as error:
        json.dumps(error.body()).encode()
        error.message.encode()

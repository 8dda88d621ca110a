"""Damaged pictures, some thousands, the same each time; `benchmarks/fuzz_images.py` tries more."""

import random
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openkontext.contract import Problem
from openkontext.media import datauri
from openkontext.media.images import decode, inspect
from tests.media.mutations import LIMITS, SEEDS, mutated


def outcome(data: bytes) -> str:
    """What becomes of ``data``: "taken" or "refused", by the worker no less strictly than by the gateway."""
    try:
        info = inspect(data, LIMITS)
    except Problem as problem:
        if problem.code != "invalid_image":
            raise
        with pytest.raises(Problem, match=r"^the image "):
            decode(data, LIMITS)
        return "refused"
    assert 0 < info.width * info.height <= LIMITS.max_pixels
    try:
        image = decode(data, LIMITS)
    except Problem as problem:
        if problem.code != "invalid_image":
            raise
        return "refused"
    assert sorted((info.width, info.height)) == sorted(image.size)
    assert set() == set(image.info) - {"transparency", "exif"}
    return "taken"


@settings(max_examples=2000, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_damaged_parts(seed: int) -> None:
    """Whatever a file's parts are made to say, it is a picture within the bounds or a refusal, without a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome(mutated(random.Random(seed)))
    assert [] == caught


def test_the_mutations_reach_both_ends() -> None:
    """The fuzzing is worth something: of its inputs some get through to the pixels, and most don't."""
    outcomes = [outcome(mutated(random.Random(seed))) for seed in range(400)]
    assert 40 < outcomes.count("taken") < 300
    assert ["taken"] * len(SEEDS) == [outcome(data) for data in SEEDS]


PIECES = (
    "data:",
    "DATA:",
    "image/png",
    ";base64",
    ";a=b",
    ",",
    "%",
    "%4",
    "%41",
    "=",
    "==",
    "A",
    "AAAA",
    "-_",
    "ä",
    "\n",
)


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
def test_data_uris(pieces: list[str]) -> None:
    """Whatever is put together from the parts of data URIs gives bytes within the bound, or a refusal."""
    try:
        assert 0 < len(datauri.decode("".join(pieces), 20)) <= 20
    except Problem as problem:
        if problem.code != "invalid_image":
            raise

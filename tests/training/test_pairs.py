"""What guidance means to nano, and what it learns without a prompt."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch

from training.latents import Shard
from training.make_nano import weight
from training.nano import FULL_GUIDANCE, MAX_WEIGHT, OPEN_WEIGHT, draw_guidance, draw_times, guided, weigh
from training.pairs import EMPTY_PROMPTS, MISNAMED, WEIGHTS, Pairs, stream
from training.phrases import phrase
from training.scenarios import Edit


@pytest.mark.parametrize(("guidance", "share"), [(0.0, 0.0), (3.5, 0.5), (FULL_GUIDANCE, 1.0), (10.0, 1.3)])
def test_guidance_leads_from_the_reference_past_the_target(guidance: float, share: float) -> None:
    """0 leaves the picture alone, 7 is the edit as drawn, 10 goes beyond it."""
    reference, target = torch.full((1, 16, 4, 4), 2.0), torch.full((1, 16, 4, 4), 4.0)
    found = guided(reference, target, torch.tensor([guidance]))
    assert torch.allclose(torch.full_like(found, 2.0 + 2.0 * share), found)


def test_most_samples_have_the_default_guidance() -> None:
    """Two of three; the rest lie anywhere in 0–10."""
    torch.manual_seed(0)
    drawn = draw_guidance(3000, torch.device("cpu"))
    assert 0.67 == pytest.approx((drawn == FULL_GUIDANCE).float().mean().item(), abs=0.03)
    assert drawn.min() < 0.1
    assert drawn.max() > 9.9


def test_nothing_asked_for_is_nothing_changed() -> None:
    """An empty prompt's target is its reference; any other's is not."""
    latents = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 16, 4, 4).half()
    pairs = Pairs([Shard((32, 32), latents, [Edit(0, 1, "darker")])], shift=0.0, scale=1.0)
    batch = pairs.draw(np.random.default_rng(0), 2000)
    empty = torch.tensor([prompt == "" for prompt in batch.prompts])
    assert EMPTY_PROMPTS == pytest.approx(empty.float().mean().item(), abs=0.02)
    assert torch.equal(batch.targets[:, 0, 0, 0], (~empty).float())
    assert not batch.references.any()


def test_what_changes_counts_as_much_as_what_stays() -> None:
    """Half of the loss each, but no token of a tiny edit outweighs a whole picture; all the same where all changes."""
    reference = torch.zeros(4, 16, 8, 8)
    edited = torch.zeros(4, 16, 8, 8)
    edited[0, :, :2] = 1
    edited[1, :, :2, :2] = 1
    edited[2] = 1
    quarter, dot, everything, nothing = weigh(reference, edited, torch.zeros(4, dtype=torch.bool))
    assert torch.equal(torch.tensor([2.0] * 4 + [2 / 3] * 12), quarter)
    assert MAX_WEIGHT == dot[0]
    assert torch.equal(torch.ones(2, 16), torch.stack([everything, nothing]))


def test_of_a_new_scene_the_edge_of_what_stays_counts_most() -> None:
    """How a scene looks far from what is kept is chance, so its error counts less; the edge counts more."""
    edited = torch.zeros(1, 16, 12, 12)
    edited[:, :, :6] = 1
    weights = weigh(torch.zeros_like(edited), edited, torch.tensor([True])).view(6, 6)
    torch.testing.assert_close(weights[:2] / weights[2], torch.full((2, 6), OPEN_WEIGHT))
    assert [18, 18] == pytest.approx([weights[:3].sum().item(), weights[3:].sum().item()])


def test_batches_say_which_edits_are_new_scenes() -> None:
    """Plain backgrounds are known, and count evenly."""
    edits = [Edit(0, 1, "background", {"background": "beach"}), Edit(1, 0, "plain background", {"background": "red"})]
    pairs = Pairs([Shard((32, 32), torch.zeros(2, 16, 4, 4).half(), edits)], shift=0.0, scale=1.0)
    batch = pairs.draw(np.random.default_rng(0), 50)
    beaches = [any(word in prompt for word in ("beach", "sea", "sand")) for prompt in batch.prompts]
    named = [prompt != "" for prompt in batch.prompts]
    assert 0 < sum(beaches) < 50
    assert torch.equal(torch.tensor(beaches)[named], batch.scenes[named])


def test_what_is_alone_may_be_called_anything() -> None:
    """A subject sometimes gets another's name, with a colour or without; what is removed never does."""
    edits = [
        Edit(0, 1, "recolour", {"object": "saw", "colour": "red"}),
        Edit(0, 1, "remove", {"object": "bell"}),
        Edit(0, 1, "darker"),
    ]
    bucket = Pairs([Shard((32, 32), torch.zeros(2, 16, 4, 4).half(), edits)], shift=0.0, scale=1.0).buckets[0]
    rng = np.random.default_rng(0)
    names = [bucket.misname(rng, edits[0]).words["object"] for _ in range(2000)]
    assert 1 - MISNAMED * 0.75 == pytest.approx(names.count("saw") / 2000, abs=0.03)
    assert MISNAMED * 0.25 == pytest.approx(names.count("bell") / 2000, abs=0.02)
    assert {"saw", "bell"} == {name.split(" ")[-1] for name in names}
    assert edits[1:] == [bucket.misname(rng, edit) for edit in edits[1:]]


def test_batches_are_drawn_by_several_processes() -> None:
    """Each has a seed of its own, so that no edits come twice; the same seed gives the same ones again."""
    edits = [Edit(0, 1, "darker"), Edit(1, 0, "brighter")]
    pairs = Pairs([Shard((32, 32), torch.zeros(2, 16, 4, 4).half(), edits)], shift=0.0, scale=1.0)
    first, again = ([next(batches).prompts for _ in range(4)] for batches in [stream(pairs, 8, [1], 2) for _ in "ab"])
    assert first == again
    assert 4 == len({tuple(prompts) for prompts in first})


def test_families_can_be_left_out() -> None:
    """A short run doesn't learn what it can't."""
    edits = [Edit(0, 1, "darker"), Edit(1, 0, "mirror")]
    shards = [Shard((32, 32), torch.zeros(2, 16, 4, 4).half(), edits)]
    pairs = Pairs(shards, shift=0.0, scale=1.0, weights=WEIGHTS | {"mirror": 0})
    assert ["darker"] == pairs.buckets[0].names


def test_photos_have_a_share_of_their_own() -> None:
    """The same family is drawn apart where its subject is as photographs have them."""
    edits = [Edit(0, 1, "background", {"background": "beach"}, photo=photo) for photo in (False, True)]
    shards = [Shard((32, 32), torch.zeros(2, 16, 4, 4).half(), edits)]
    weights = WEIGHTS | {"background": 3, "background, photos": 1}
    bucket = Pairs(shards, shift=0.0, scale=1.0, weights=weights).buckets[0]
    assert ["background", "background, photos"] == bucket.names
    assert [0.75, 0.25] == bucket.shares.tolist()


def test_a_weight_is_a_family_and_a_number() -> None:
    """`--weights` names what it can't read."""
    assert ("plain background", 1.5) == weight("plain background=1.5")
    for wrong in ("mirrors=1", "mirror", "mirror=", "mirror=-1", "mirror=often"):
        with pytest.raises(argparse.ArgumentTypeError, match=wrong):
            weight(wrong)


def test_the_colour_that_something_has_isnt_the_one_asked_for() -> None:
    """Where a wording names the object, it names its colour too, but never beside the new one."""
    words = {"object": "ball", "colour": "blue", "was": "red"}
    for held_out in (False, True):
        rng = np.random.default_rng(0)
        prompts = {phrase(rng, Edit(0, 1, "recolour", words), held_out) for _ in range(200)}
        assert any("red ball" in prompt for prompt in prompts)
        assert all("blue" in prompt and "blue red" not in prompt for prompt in prompts)


def test_times_are_spread_over_the_batch() -> None:
    """The uniform ones have one in each part; all lie in 0–1, more of them in the noisier half."""
    torch.manual_seed(0)
    times = draw_times(4000, torch.device("cpu"))
    assert ((times > 0) & (times < 1)).all()
    assert 0.57 == pytest.approx((times > 0.5).float().mean().item(), abs=0.03)

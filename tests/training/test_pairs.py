"""What guidance means to nano, and what it learns without a prompt."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch

from training.latents import TOKEN, Shard, measure_kept
from training.make_nano import weight
from training.nano import FULL_GUIDANCE, MAX_WEIGHT, OPEN_WEIGHT, draw_guidance, draw_times, guided, weigh
from training.pairs import EMPTY_PROMPTS, MISNAMED, WEIGHTS, Pairs, stream
from training.phrases import phrase
from training.scenarios import Edit


def hold(edits: list[Edit], latents: torch.Tensor | None = None) -> Shard:
    """A shard of two pictures of 32 × 32 pixels, of which no edit keeps anything."""
    latents = torch.zeros(2, 16, 4, 4).half() if latents is None else latents
    return Shard((32, 32), latents, edits, torch.zeros(len(edits), 2, 2, dtype=torch.uint8))


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
    """An empty prompt's target is its reference, of which all is kept; any other's is not."""
    latents = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 16, 4, 4).half()
    pairs = Pairs([hold([Edit(0, 1, "darker")], latents)], shift=0.0, scale=1.0)
    batch = pairs.draw(np.random.default_rng(0), 2000)
    empty = torch.tensor([prompt == "" for prompt in batch.prompts])
    assert EMPTY_PROMPTS == pytest.approx(empty.float().mean().item(), abs=0.02)
    assert torch.equal(batch.targets[:, 0, 0, 0], (~empty).float())
    assert torch.equal(batch.kept[:, 0, 0], empty.float())
    assert not batch.references.any()


def test_what_changes_counts_as_much_as_what_stays() -> None:
    """Half of the loss each, but no token of a tiny edit outweighs a whole picture; all the same where all changes."""
    kept = torch.ones(4, 4, 4)
    kept[0, 0] = 0
    kept[1, 0, 0] = 0.5
    kept[2] = 0
    quarter, dot, everything, nothing = weigh(kept, torch.zeros(4, dtype=torch.bool))
    assert torch.equal(torch.tensor([2.0] * 4 + [2 / 3] * 12), quarter)
    assert MAX_WEIGHT == dot[0]
    assert torch.equal(torch.ones(2, 16), torch.stack([everything, nothing]))


def test_a_token_counts_by_the_share_of_it_that_stays() -> None:
    """A subject that fills no token counts as half of its picture all the same."""
    kept = torch.zeros(1, 4, 4)
    kept[0, 1, 1:3] = 0.5
    weights = weigh(kept, torch.zeros(1, dtype=torch.bool)).view(4, 4)
    torch.testing.assert_close(weights[1, 1:3], torch.full((2,), 4 + 0.5 * 8 / 15))
    torch.testing.assert_close(weights[2:], torch.full((2, 4), 8 / 15))


def test_of_a_new_scene_the_edge_of_what_stays_counts_most() -> None:
    """How a scene looks far from what is kept is chance, so its error counts less; the edge counts more."""
    kept = torch.zeros(1, 6, 6)
    kept[:, 3:] = 1
    kept[:, 2] = 0.25
    weights = weigh(kept, torch.tensor([True])).view(6, 6)
    assert weights[2, 0] > weights[3, 0] > weights[0, 0]
    torch.testing.assert_close(weights[:2] / (weights[2] - weights[3] / 4) * 0.75, torch.full((2, 6), OPEN_WEIGHT))


def test_what_an_edit_keeps_is_counted_in_each_token() -> None:
    """A pixel is kept if no channel differs by more than rounding."""
    source = np.full((TOKEN, 2 * TOKEN, 3), 100, np.uint8)
    target = source.copy()
    target[:4, :TOKEN, 2] = 103
    target[:, TOKEN:] = 102
    assert [[191, 255]] == measure_kept(source, target).tolist()


def test_each_edit_brings_what_it_keeps() -> None:
    """Whatever shards are put together and whichever families are left out."""
    edits = [Edit(0, 1, "mirror"), Edit(0, 1, "darker"), Edit(1, 0, "brighter")]
    latents = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 16, 4, 4).half()
    kept = torch.tensor([0, 51, 102], dtype=torch.uint8).view(3, 1, 1).expand(3, 2, 2)
    shards = [Shard((32, 32), latents, edits, kept), Shard((32, 32), latents + 2, edits, kept + 102)]
    batch = Pairs(shards, 0.0, 1.0, WEIGHTS | {"mirror": 0}).draw(np.random.default_rng(0), 200)
    named = torch.tensor([prompt != "" for prompt in batch.prompts])
    expected = (1 + batch.references[:, 0, 0, 0]) / 5
    torch.testing.assert_close(batch.kept[:, 1, 1][named], expected[named])
    assert 4 == len(expected.unique())


def test_batches_say_which_edits_are_new_scenes() -> None:
    """Plain backgrounds are known, and count evenly."""
    edits = [Edit(0, 1, "background", {"background": "beach"}), Edit(1, 0, "plain background", {"background": "red"})]
    pairs = Pairs([hold(edits)], shift=0.0, scale=1.0)
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
    bucket = Pairs([hold(edits)], shift=0.0, scale=1.0).buckets[0]
    rng = np.random.default_rng(0)
    names = [bucket.misname(rng, edits[0]).words["object"] for _ in range(2000)]
    assert 1 - MISNAMED * 0.75 == pytest.approx(names.count("saw") / 2000, abs=0.03)
    assert MISNAMED * 0.25 == pytest.approx(names.count("bell") / 2000, abs=0.02)
    assert {"saw", "bell"} == {name.split(" ")[-1] for name in names}
    assert edits[1:] == [bucket.misname(rng, edit) for edit in edits[1:]]


def test_batches_are_drawn_by_several_processes() -> None:
    """Each has a seed of its own, so that no edits come twice; the same seed gives the same ones again."""
    edits = [Edit(0, 1, "darker"), Edit(1, 0, "brighter")]
    pairs = Pairs([hold(edits)], shift=0.0, scale=1.0)
    first, again = ([next(batches).prompts for _ in range(4)] for batches in [stream(pairs, 8, [1], 2) for _ in "ab"])
    assert first == again
    assert 4 == len({tuple(prompts) for prompts in first})


def test_families_can_be_left_out() -> None:
    """A short run doesn't learn what it can't."""
    edits = [Edit(0, 1, "darker"), Edit(1, 0, "mirror")]
    shards = [hold(edits)]
    pairs = Pairs(shards, shift=0.0, scale=1.0, weights=WEIGHTS | {"mirror": 0})
    assert ["darker"] == pairs.buckets[0].names


def test_photos_have_a_share_of_their_own() -> None:
    """The same family is drawn apart where its subject is as photographs have them."""
    edits = [Edit(0, 1, "background", {"background": "beach"}, photo=photo) for photo in (False, True)]
    shards = [hold(edits)]
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

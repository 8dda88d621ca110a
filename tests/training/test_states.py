"""Every family's target changes what it says, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.canvas import from_bytes, luminance
from training.effects import EFFECTS
from training.outlines import mask
from training.photos import PHOTOS, crop
from training.scenes import COLOURS, SCENES, paint
from training.sources import Cutouts
from training.states import FITTING, Figure, Sprite, State, layer, render

SIZE = (64, 80)


@pytest.fixture(scope="module")
def cutouts() -> Cutouts:
    """One object: a disc, red above and blue below."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    pixels = np.zeros((1, 64, 64, 4), np.uint8)
    pixels[0, :32, :, 0], pixels[0, 32:, :, 2] = 230, 230
    pixels[0, ..., 3] = (np.hypot(y, x) < 0.9) * 255
    photo = np.random.default_rng(0).integers(0, 256, (96, 144, 3), np.uint8)
    return Cutouts(pixels, ["disc"], np.array([False]), [photo] * len(PHOTOS))


@pytest.fixture
def state() -> State:
    """The disc in the middle of a meadow."""
    return State("meadow", 3, Sprite(0, 0.5, 0.5, 0.6))


def saturation(picture: np.ndarray) -> float:
    """Mean spread of the channels, 0–1."""
    return float((from_bytes(picture).max(-1) - from_bytes(picture).min(-1)).mean())


def brightness(picture: np.ndarray) -> float:
    """Mean luminance, 0–1."""
    return float(luminance(from_bytes(picture)).mean())


def detail(picture: np.ndarray) -> float:
    """Mean difference of neighbours, 0–1."""
    return float(np.abs(np.diff(luminance(from_bytes(picture)), axis=1)).mean())


def test_render_repeats(state: State, cutouts: Cutouts) -> None:
    """The same state is the same picture."""
    assert np.array_equal(render(state, SIZE, cutouts), render(state, SIZE, cutouts))


@pytest.mark.parametrize("name", [*SCENES, *COLOURS])
def test_background_keeps_subject(name: str, state: State, cutouts: Cutouts) -> None:
    """A new background changes pixels outside the subject only."""
    before, after = (render(s, SIZE, cutouts) for s in (state, replace(state, background=name, seed=9)))
    inside = layer(state.subject, SIZE, cutouts)[1] == 1  # type: ignore[arg-type]
    assert np.array_equal(before[inside], after[inside])
    assert (before != after).any()


@pytest.mark.parametrize("name", list(SCENES))
def test_scene_fills_any_size(name: str) -> None:
    """A scene is drawn at any aspect, within range, and isn't flat."""
    for size in ((64, 64), (40, 96), (96, 40)):
        picture = paint(name, 1, size)
        assert (*size, 3) == picture.shape
        assert 0 <= picture.min() < picture.max() <= 1


def test_plain_colour_is_exact() -> None:
    """A plain background is that colour in every pixel."""
    assert np.allclose(paint("black", 0, (8, 8)), 16 / 255)


@pytest.mark.parametrize("name", list(EFFECTS))
def test_effect_changes_picture(name: str, state: State, cutouts: Cutouts) -> None:
    """Every effect changes the picture, keeps its shape, and repeats."""
    before, after = (render(s, SIZE, cutouts) for s in (state, replace(state, effect=name)))
    assert before.shape == after.shape
    assert np.abs(before.astype(int) - after).mean() > 4
    assert np.array_equal(after, render(replace(state, effect=name), SIZE, cutouts))


def test_effects_do_what_they_say(state: State, cutouts: Cutouts) -> None:
    """Colour goes, light falls and rises, edges soften, flakes whiten, twice inverted is the same."""
    before = render(state, SIZE, cutouts)
    after = {name: render(replace(state, effect=name), SIZE, cutouts) for name in EFFECTS}
    assert saturation(after["black_and_white"]) == 0
    assert saturation(after["fog"]) < saturation(before)
    assert brightness(after["darker"]) < brightness(before) < brightness(after["brighter"])
    assert brightness(after["night"]) < brightness(before)
    assert detail(after["blur"]) < detail(before) < detail(after["snow"])
    assert np.abs(255 - after["negative"].astype(int) - before).max() <= 1


def test_recolour_keeps_background(state: State, cutouts: Cutouts) -> None:
    """A tinted subject has the colour asked for, and what is behind it stays."""
    tinted = replace(state, subject=replace(state.subject, colour="green"))  # type: ignore[type-var]
    before, after = (render(s, SIZE, cutouts) for s in (state, tinted))
    alpha = layer(state.subject, SIZE, cutouts)[1]  # type: ignore[arg-type]
    assert np.array_equal(before[alpha == 0], after[alpha == 0])
    assert after[alpha == 1].mean(0).argmax() == 1


def test_a_figure_before_its_own_photo_is_the_photo(cutouts: Cutouts) -> None:
    """What a photo shows stands where the photo has it, and stays there before a scene."""
    photo = cutouts.photos[0]
    before, after = (render(State(name, 5, Figure("dahlia", 5)), SIZE, cutouts) for name in ("dahlia", "beach"))
    inside = crop(mask("dahlia", photo.shape[:2]), 5, SIZE)
    assert 0.05 < (inside == 1).mean() < 0.9
    assert np.abs(before / 255 - crop(photo, 5, SIZE)).max() < 0.01
    assert np.array_equal(before[inside == 1], after[inside == 1])
    assert (before[inside == 0] != after[inside == 0]).any(-1).mean() > 0.9


def test_a_texture_keeps_the_outline(state: State, cutouts: Cutouts) -> None:
    """Only what is inside changes, and it isn't flat."""
    clothed = replace(state, subject=replace(state.subject, texture="cat", seed=4))  # type: ignore[type-var]
    before, after = (render(s, SIZE, cutouts) for s in (state, clothed))
    alpha = layer(state.subject, SIZE, cutouts)[1]  # type: ignore[arg-type]
    assert np.array_equal(before[alpha == 0], after[alpha == 0])
    assert after[alpha == 1].std(0).min() > 15


def test_removed_subject_leaves_background(state: State, cutouts: Cutouts) -> None:
    """Without its subject a picture is its background."""
    expected = np.round(paint("meadow", 3, SIZE) * 255)
    assert np.abs(expected - render(replace(state, subject=None), SIZE, cutouts)).max() <= 1


def test_subject_has_as_many_pixels_in_each_shape(cutouts: Cutouts) -> None:
    """While it fits: in a strip it takes most of the short side."""
    subject = Sprite(0, 0.5, 0.5, 0.4)
    square, tall, strip = (layer(subject, size, cutouts)[1] for size in ((128, 128), (256, 64), (48, 320)))
    assert square.sum() == pytest.approx(tall.sum(), rel=0.01)
    assert 0.9 * FITTING * 48 == pytest.approx((strip > 0.5).sum(0).max(), abs=2)


def test_added_object_stays_in_its_corner(state: State, cutouts: Cutouts) -> None:
    """An extra object at the top left leaves the other corners alone."""
    before = render(state, SIZE, cutouts)
    after = render(replace(state, extra=Sprite(0, 0.2, 0.2, 0.3)), SIZE, cutouts)
    assert (before[:32, :40] != after[:32, :40]).any()
    assert np.array_equal(before[40:], after[40:])
    assert np.array_equal(before[:, 50:], after[:, 50:])

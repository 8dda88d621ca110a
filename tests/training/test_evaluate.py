"""The score means something: the procedural target passes, the unedited picture fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.evaluate import CHOSEN_BY, JUDGED, ON_PHOTOS, Case, Exam, draw_cases, error_left, examine, judge
from training.photos import HELD_OUT, HELD_OUT_FIGURES, PHOTOS
from training.phrases import FAMILIES
from training.scenarios import ADDABLE, draw_photo_scenario, draw_scenario
from training.sources import Cutouts
from training.states import Figure, Sprite

NANO = Path(__file__).parents[2] / "checkpoints" / "nano" / "openkontext_nano"


@pytest.fixture(scope="module")
def cutouts() -> Cutouts:
    """Discs in random colours: the objects that can be added, one subject to learn, and one held out."""
    names = [*ADDABLE, "box", "ball"]
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    pixels = np.zeros((len(names), 48, 48, 4), np.uint8)
    pixels[..., :3] = np.random.default_rng(0).integers(0, 256, (len(names), 1, 1, 3))
    pixels[..., 3] = (np.hypot(y, x) < 0.9) * 255
    down, right = (np.linspace(0, 200, length, dtype=np.uint8) for length in (160, 240))
    photos = [np.stack(np.broadcast_arrays(down[:, None], right, np.uint8(90)), -1)] * len(PHOTOS)
    return Cutouts(pixels, names, np.array([False] * (len(names) - 1) + [True]), photos)


@pytest.fixture(scope="module")
def cases(cutouts: Cutouts) -> list[Case]:
    """Three held-out cases of each family."""
    return draw_cases(cutouts, 3, (128, 128))


def test_every_family_has_cases(cases: list[Case]) -> None:
    """Three cases each, in the order of FAMILIES."""
    assert [family for family in FAMILIES for _ in range(3)] == [case.family for case in cases]


def test_weights_are_chosen_by_other_cases(monkeypatch: pytest.MonkeyPatch, cutouts: Cutouts) -> None:
    """None of which is among those that are reported; both are about the row that is asked for."""
    monkeypatch.setattr(Exam, "cutouts", cutouts)
    exams = [Exam(NANO, NANO, 3, (64, 64), 1, ("add", "mirror, photos"), seed) for seed in (CHOSEN_BY, JUDGED)]
    lines, sheets = zip(*(examine(exam, row) for exam in exams for row in exam.rows), strict=True)
    assert ["add", "mirror, photos"] * 2 == [line.split(" | ")[0].removeprefix("| ") for line in lines]
    assert all("/3 | " in line for line in lines)
    chosen, judged = ({sheet[:, 192 * i :][:, :64].tobytes() for i in range(3)} for sheet in sheets[::2])
    assert [3, 3] == [len(chosen), len(judged)]
    assert not chosen & judged


def test_target_passes(cases: list[Case]) -> None:
    """What the renderer says the edit should be is judged a success."""
    assert [] == [(case.family, case.prompt) for case in cases if not judge(case, case.target).passed]


def test_copying_fails(cases: list[Case]) -> None:
    """Leaving the picture as it is is judged a failure."""
    assert [] == [(case.family, case.prompt) for case in cases if judge(case, case.reference).passed]


def test_photos_are_judged_as_they_are(cutouts: Cutouts) -> None:
    """A photo's cases are of whole pictures, with nothing in front but what it shows."""
    cases = draw_cases(cutouts, 1, (128, 128), ON_PHOTOS, photos=True)
    assert list(ON_PHOTOS) == [case.family for case in cases]
    assert [] == [case.family for case in cases if not judge(case, case.target).passed]


def test_damage_elsewhere_fails(cases: list[Case]) -> None:
    """The right background around a subject that was lost is judged a failure."""
    case = next(case for case in cases if case.family == "plain background")
    damaged = case.target.copy()
    damaged[case.keep] = 255 - damaged[case.keep]
    assert not judge(case, damaged).passed


def test_scenarios_take_subjects_from_one_side(cutouts: Cutouts) -> None:
    """Held-out objects are the subjects of evaluation, never of training."""
    rng = np.random.default_rng(1)
    for held_out in (False, True):
        bases = [draw_scenario(rng, cutouts, held_out).states[0] for _ in range(30)]
        assert {held_out} == {bool(cutouts.held_out[base.subject.index]) for base in bases if base.subject}
        assert {held_out} == {base.background in HELD_OUT for base in bases if base.background in PHOTOS}


def test_photo_scenarios_take_photos_from_one_side(cutouts: Cutouts) -> None:
    """Evaluation has the photos that are held out, as they are; training the others, and their textures in outlines."""
    rng = np.random.default_rng(1)
    for base in (draw_photo_scenario(rng, cutouts, held_out=True).states[0] for _ in range(10)):
        assert isinstance(base.subject, Figure)
        assert base.background == base.subject.photo in HELD_OUT_FIGURES
    bases = [draw_photo_scenario(rng, cutouts).states[0] for _ in range(60)]
    shown = {base.subject.photo for base in bases if isinstance(base.subject, Figure)}
    textures = {base.subject.texture for base in bases if isinstance(base.subject, Sprite)}
    assert len(shown) > 3
    assert len(textures) > 3
    assert not {*shown, *textures, *(base.background for base in bases)} & {*HELD_OUT, *HELD_OUT_FIGURES}


def test_edits_change_one_attribute(cutouts: Cutouts) -> None:
    """Source and target of an edit differ in background (with its seed), subject, extra, effect or side alone."""
    scenario = draw_scenario(np.random.default_rng(2), cutouts)
    assert scenario.states[0].subject
    for edit in scenario.edits:
        source, target = scenario.states[edit.source], scenario.states[edit.target]
        fields = ("background", "subject", "extra", "effect", "mirrored")
        assert 1 == sum(getattr(source, name) != getattr(target, name) for name in fields), edit


@pytest.mark.parametrize("family", ["recolour", "remove", "add", "replace"])
def test_parts_are_judged_where_they_change(cases: list[Case], family: str) -> None:
    """A ghost of what was there fails, however small it is; a rest that was kept roughly passes."""
    case = next(case for case in cases if case.family == family)
    ghost = (0.6 * case.reference + 0.4 * case.target).astype(np.uint8)
    rough = np.where(case.keep[..., None], np.clip(case.target.astype(int) + 8, 0, 255), case.target).astype(np.uint8)
    assert [False, True] == [judge(case, result).passed for result in (ghost, rough)]


def test_a_tone_is_judged_by_what_is_seen_from_afar() -> None:
    """The details of what is brown already may be lost by more than sepia changes; not the whole of it."""
    y, x = np.mgrid[0:1:64j, 0:1:64j]
    brown = np.stack([0.6 + 0.2 * x, 0.5 + 0.2 * y, np.full_like(x, 0.4)], -1) * 255
    noise = np.random.default_rng(0).normal(0, 9, brown.shape)
    reference, target, soft = (part.clip(0, 255).astype(np.uint8) for part in (brown, brown + 6, brown + 6 + noise))
    case = Case("sepia", "make it sepia", reference, target, np.zeros((64, 64), bool), {})
    lost = np.broadcast_to(target.mean((0, 1)), target.shape).astype(np.uint8)
    assert error_left(case, soft) > 1
    assert [True, False, False] == [judge(case, result).passed for result in (soft, lost, reference)]


def test_what_was_hidden_is_judged_from_afar(cases: list[Case]) -> None:
    """Another texture of the right colour will do in the place of what was taken away, not for what is added."""
    case = next(case for case in cases if case.family == "remove")
    noise = np.random.default_rng(0).choice([-1, 1], (*case.keep.shape, 1))
    size = 0.65 * np.sqrt(np.mean((case.reference.astype(float) - case.target)[~case.keep] ** 2))
    textured = np.where(case.keep[..., None], case.target, np.clip(case.target + size * noise, 0, 255))
    judged = [judge(replace(case, family=family), textured.astype(np.uint8)).passed for family in ("remove", "add")]
    assert [True, False] == judged

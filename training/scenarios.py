"""Which pictures and edits are drawn: one base state, variants that differ in one attribute, and the directed pairs.

An edit is (source, target, family, words): indices into the scenario's states, and what its prompt must mention.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from training.canvas import Size
from training.effects import EFFECTS
from training.outlines import OUTLINES, mask
from training.photos import HELD_OUT, HELD_OUT_FIGURES, PHOTOS, window
from training.scenes import COLOURS, SCENES
from training.sources import Cutouts
from training.states import Figure, Sprite, State, find_photo

SIZES: tuple[Size, ...] = (
    (128, 128), (144, 112), (128, 128), (144, 96), (128, 128), (96, 176), (112, 144), (128, 128), (96, 144), (96, 160),
    (128, 128), (112, 144), (128, 128), (144, 112), (128, 128), (176, 96), (96, 144), (128, 128), (80, 192), (160, 96),
)  # fmt: skip
TINTS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
PLACES = {
    "top left": (0.2, 0.2), "top right": (0.2, 0.8), "bottom left": (0.8, 0.2), "bottom right": (0.8, 0.8),
}  # fmt: skip
# What can be added also takes a subject's place: of few things can be learned what they look like, and only where they
# stand in few ways. So what replaces a subject stands in the middle, whatever the subject's size and place were.
ADDABLE = (
    "red heart", "star", "balloon", "sun", "red apple", "banana", "rose", "soccer ball", "birthday cake", "crown",
    "butterfly", "rainbow", "tulip", "key", "cherries", "bell", "pizza", "wrapped gift",
    "lady beetle", "dog face", "cat face", "tropical fish", "strawberry", "cactus", "teddy bear", "gem stone",
    "sunflower", "blue heart", "green apple", "hot beverage", "watermelon", "basketball", "crescent moon", "fire",
    "bird", "snail",
)  # fmt: skip
REPLACED = {"y": 0.5, "x": 0.5, "scale": 0.7, "flip": False}
# The share of scenarios that are about a photo alone, with nothing in front.
PLAIN_PHOTOS = 0.125
CLEARABLE = ("snow", "fog", "rain")
# Of scenarios with subjects as photographs have them, how many show one; the rest make one out of a photo's texture
# and an emoji's outline, of which there are thousands where there are few photos.
OUTLINED = 0.35
# How much of a picture a photo's subject covers, and how much of it must be inside.
COVERED, INSIDE = (0.12, 0.85), 0.6


@dataclass(frozen=True)
class Edit:
    """One training pair; `words` fills the prompt's gaps. `photo`: its subject is as photographs have them."""

    source: int
    target: int
    family: str
    words: dict[str, str] = field(default_factory=dict)
    photo: bool = False

    @property
    def row(self) -> str:
        """The family as weights and tables name it."""
        return name_row(self.family, self.photo)


@dataclass(frozen=True)
class Scenario:
    """States of which each differs from another in one attribute, and the edits that lead between them."""

    states: list[State]
    edits: list[Edit]


def name_row(family: str, photos: bool) -> str:
    """A family, apart from the same of photographs."""
    return f"{family}, photos" if photos else family


def draw_scenario(rng: np.random.Generator, cutouts: Cutouts, held_out: bool = False) -> Scenario:
    """A random base state with its variants; subjects come from one side of the split."""
    base = draw_base(rng, cutouts, held_out)
    scenario = Scenario([base], [])
    name = cutouts.names[base.subject.index] if base.subject else ""
    add_effects(rng, scenario)
    add_extras(rng, scenario, cutouts)
    if base.subject is not None:
        add_backgrounds(rng, scenario)
        add_tints(rng, scenario, name)
        add_variant(scenario, "remove", {"object": name}, subject=None)
        add_others(rng, scenario, cutouts, name)
    mirrored = add_variant(scenario, "mirror", {}, mirrored=True)
    scenario.edits.append(Edit(mirrored, 0, "mirror"))
    return scenario


def draw_photo_scenario(rng: np.random.Generator, cutouts: Cutouts, held_out: bool = False) -> Scenario:
    """A subject as photographs have them, before its own background and five others.

    From emoji alone nano takes for a subject only what looks like one, and a photo's for a part of the background.
    """
    real = held_out or rng.random() < OUTLINED
    scenario = Scenario([draw_figure(rng, cutouts, held_out) if real else draw_textured(rng, cutouts)], [])
    add_backgrounds(rng, scenario)
    return Scenario(scenario.states, [replace(edit, photo=True) for edit in scenario.edits])


def draw_figure(rng: np.random.Generator, cutouts: Cutouts, held_out: bool) -> State:
    """A part of a photo that shows its subject; in training half of the time before something else."""
    names = HELD_OUT_FIGURES if held_out else [name for name in OUTLINES if name not in HELD_OUT_FIGURES]
    name = str(rng.choice(names))
    inside = mask(name, find_photo(name, cutouts).shape[:2])
    while not shows(inside, seed := draw_seed(rng)):
        pass
    if held_out or rng.random() < 0.5:
        return State(name, seed, Figure(name, seed))
    return State(draw_background(rng, held_out), draw_seed(rng), Figure(name, seed))


def shows(inside: np.ndarray, seed: int) -> bool:
    """Whether the square that `crop` takes of a photo shows its subject, of mask (H, W): enough, and not alone."""
    (left, top, right, bottom), _ = window(inside.shape, seed, (128, 128))
    seen = inside[round(top) : round(bottom), round(left) : round(right)]
    return COVERED[0] < seen.mean() / 255 < COVERED[1] and seen.sum() > INSIDE * inside.sum()


def draw_textured(rng: np.random.Generator, cutouts: Cutouts) -> State:
    """An emoji's outline full of one photo, before another or anything else."""
    texture = draw_photo(rng, held_out=False)
    while (background := draw_background(rng, held_out=False)) == texture:
        pass
    subject = replace(draw_sprite(rng, cutouts, held_out=False), texture=texture, seed=draw_seed(rng))
    return State(background, draw_seed(rng), subject)


def add_variant(scenario: Scenario, family: str, words: dict[str, str], **changes: object) -> int:
    """The base with these changes as a new state, and the edit that leads to it; returns the state's index."""
    scenario.states.append(replace(scenario.states[0], **changes))
    target = len(scenario.states) - 1
    scenario.edits.append(Edit(0, target, family, words))
    return target


def draw_base(rng: np.random.Generator, cutouts: Cutouts, held_out: bool) -> State:
    """One subject, large and near the middle, before a random background; one in eight is a photo as it is."""
    if rng.random() < PLAIN_PHOTOS:
        return State(draw_photo(rng, held_out), draw_seed(rng), None)
    subject = draw_sprite(rng, cutouts, held_out)
    return State(draw_background(rng, held_out), draw_seed(rng), subject)


def draw_sprite(rng: np.random.Generator, cutouts: Cutouts, held_out: bool) -> Sprite:
    """Any object of one side of the split, large and near the middle."""
    return Sprite(
        index=int(rng.choice(cutouts.choices(held_out))),
        y=rng.uniform(0.46, 0.6),
        x=rng.uniform(0.38, 0.62),
        scale=rng.uniform(0.5, 0.85),
        flip=bool(rng.integers(2)),
    )


def draw_background(rng: np.random.Generator, held_out: bool) -> str:
    """What is behind the subject: most often a scene."""
    kind = rng.choice(4, p=(0.45, 0.2, 0.12, 0.23))
    if kind == 3:
        return draw_photo(rng, held_out)
    return str(rng.choice((list(SCENES), ["texture"], list(COLOURS))[kind]))


def draw_photo(rng: np.random.Generator, held_out: bool) -> str:
    """A photo's name, from one side of the split."""
    kept = {*HELD_OUT, *HELD_OUT_FIGURES}
    return str(rng.choice(HELD_OUT if held_out else [name for name in PHOTOS if name not in kept]))


def draw_seed(rng: np.random.Generator) -> int:
    """A seed for a picture's own randomness."""
    return int(rng.integers(1 << 40))


def add_backgrounds(rng: np.random.Generator, scenario: Scenario) -> None:
    """Four scenes and a plain colour behind the same subject, with edits between all of them."""
    names = [*rng.choice(list(SCENES), 4, replace=False), rng.choice(list(COLOURS))]
    members = [0]
    for name in names:
        members.append(len(scenario.states))
        scenario.states.append(replace(scenario.states[0], background=str(name), seed=draw_seed(rng)))
    for target in members:
        background = scenario.states[target].background
        family = "plain background" if background in COLOURS else "background"
        sources = [member for member in members if scenario.states[member].background != background]
        if background in SCENES or background in COLOURS:
            scenario.edits.extend(Edit(source, target, family, {"background": background}) for source in sources)


def add_effects(rng: np.random.Generator, scenario: Scenario) -> None:
    """Snow always, five other effects, and the way back from those that can be cleared."""
    others = [name for name in EFFECTS if name != "snow"]
    for name in ("snow", *rng.choice(others, 5, replace=False)):
        target = add_variant(scenario, str(name), {}, effect=str(name))
        if name in CLEARABLE:
            scenario.edits.append(Edit(target, 0, "clear", {"weather": str(name)}))


def add_tints(rng: np.random.Generator, scenario: Scenario, name: str) -> None:
    """The subject in two colours, and from one to the other."""
    first, second = (str(colour) for colour in rng.choice(TINTS, 2, replace=False))
    start = len(scenario.states)
    for colour in (first, second):
        subject = replace(scenario.states[0].subject, colour=colour)  # type: ignore[type-var]
        scenario.states.append(replace(scenario.states[0], subject=subject))
    for source, target, words in (
        (0, start, {"colour": first}),
        (0, start + 1, {"colour": second}),
        (start, start + 1, {"colour": second, "was": first}),
    ):
        scenario.edits.append(Edit(source, target, "recolour", {"object": name, **words}))


def add_others(rng: np.random.Generator, scenario: Scenario, cutouts: Cutouts, name: str) -> None:
    """Another object, as it is drawn in a corner too, instead of the subject: three of them."""
    for other in map(str, rng.choice([other for other in ADDABLE if other != name], 3, replace=False)):
        subject = replace(scenario.states[0].subject, index=cutouts.names.index(other), **REPLACED)  # type: ignore[type-var]
        add_variant(scenario, "replace", {"object": name, "other": other}, subject=subject)


def add_extras(rng: np.random.Generator, scenario: Scenario, cutouts: Cutouts) -> None:
    """A second, small object in each of three corners: to be added, or taken away."""
    names, places = rng.choice(ADDABLE, 3, replace=False), rng.choice(list(PLACES), 3, replace=False)
    for name, place in zip(map(str, names), map(str, places), strict=True):
        y, x = PLACES[place]
        extra = Sprite(cutouts.names.index(name), y, x, rng.uniform(0.3, 0.34))
        words = {"object": name, "place": place}
        target = add_variant(scenario, "add", words, extra=extra)
        scenario.edits.append(Edit(target, 0, "remove", words))

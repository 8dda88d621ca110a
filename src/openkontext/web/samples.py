"""The sample pictures, each with prompts that the shipped model can do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """A picture at ``samples/{name}.webp``: its size in pixels, a title, a description, and prompts that suit it."""

    name: str
    width: int
    height: int
    title: str
    alt: str
    prompts: tuple[str, ...]


SAMPLES = (
    Sample(
        "tiger",
        512,
        512,
        "Tiger",
        "A toy tiger on a green meadow under a blue sky",
        ("make it snow", "change the background to a beach", "turn it black and white", "make it darker"),
    ),
    Sample(
        "backpack",
        512,
        512,
        "Backpack",
        "A pink backpack on a beach by the sea",
        (
            "Replace the background with a bokeh light effect, keep the subject unchanged",
            "make it night",
            "make the backpack blue",
            "blur the picture",
        ),
    ),
    Sample(
        "ambulance",
        624,
        416,
        "Ambulance",
        "A toy ambulance among the dunes of a desert",
        ("change the background to a forest", "make it rain", "turn it into a pencil sketch", "apply a sepia tone"),
    ),
    Sample(
        "astronaut",
        416,
        624,
        "Astronaut",
        "A toy astronaut in front of a blue sky with clouds",
        ("change the background to a starry sky", "add fog", "make it brighter", "invert the colors"),
    ),
)

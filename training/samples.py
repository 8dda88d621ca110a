"""The bundled sample pictures: objects that nano never saw, on procedural scenes: `python -m training.samples`."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from training.sources import load_cutouts
from training.states import Sprite, State, render

ROOT = Path(__file__).parent
# Subject, background, seed, size, and the subject's size as a share of √(H·W).
SAMPLES = {
    "tiger": ("tiger", "meadow", 11, (512, 512), 0.72),
    "ambulance": ("ambulance", "desert", 4, (416, 624), 0.588),
    "astronaut": ("woman astronaut", "clouds", 6, (624, 416), 0.588),
    "backpack": ("backpack", "beach", 2, (512, 512), 0.72),
}


def main() -> None:
    """Write every sample to a folder."""
    parser = argparse.ArgumentParser(prog="python -m training.samples", description=__doc__)
    parser.add_argument("--state", type=Path, default=ROOT / "state", help="where the data packages are, or go")
    parser.add_argument("--output", type=Path, default=ROOT.parent / "samples")
    options = parser.parse_args()
    cutouts = load_cutouts(options.state / "data", 256)
    for name, (subject, background, seed, size, scale) in SAMPLES.items():
        state = State(background, seed, Sprite(cutouts.names.index(subject), 0.53, 0.5, scale))
        picture = Image.fromarray(render(state, size, cutouts))
        picture.save(options.output / f"{name}.webp", quality=92, method=6)


if __name__ == "__main__":
    main()

"""Measures a checkpoint on objects and wordings it never saw: `python -m training.evaluate --help`.

A case passes if the edit happened, by a property that can be measured, and what the prompt doesn't name was kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from diffusers import FluxKontextPipeline
from PIL import Image

from training.canvas import Size, from_bytes, gaussian, luminance
from training.phrases import FAMILIES, phrase
from training.scenarios import draw_scenario
from training.scenes import SCENES, paint
from training.sources import Cutouts, load_cutouts
from training.states import render

KEPT_DB = 20.0
CLOSE = 0.35
HEADER = "| family | edit happened | and the rest was kept | PSNR to target (of copying) | PSNR of what was to keep |"
ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One edit to judge: (H, W, 3) uint8 pictures; `keep` (H, W) marks pixels that the edit must not change."""

    family: str
    prompt: str
    reference: np.ndarray
    target: np.ndarray
    keep: np.ndarray
    words: dict[str, str]


@dataclass(frozen=True)
class Score:
    """How one result did: PSNRs in dB to the target, of the unedited reference to it, and over the kept pixels."""

    happened: bool
    passed: bool
    psnr: float
    copying: float
    kept: float


def draw_cases(
    cutouts: Cutouts, per_family: int, size: Size, families: tuple[str, ...] = FAMILIES, seed: int = 90_000_000
) -> list[Case]:
    """Held-out objects in new scenes with held-out wordings, `per_family` of each family in turn."""
    wanted = dict.fromkeys(families, per_family)
    cases: dict[str, list[Case]] = {family: [] for family in families}
    while any(len(cases[family]) < wanted[family] for family in families):
        rng = np.random.default_rng(seed)
        for case in draw_family_cases(rng, cutouts, size):
            if case.family in cases and len(cases[case.family]) < wanted[case.family]:
                cases[case.family].append(case)
        seed += 1
    return [case for family in families for case in cases[family]]


def draw_family_cases(rng: np.random.Generator, cutouts: Cutouts, size: Size) -> list[Case]:
    """One case of each family that a random held-out scenario has."""
    scenario = draw_scenario(rng, cutouts, held_out=True)
    order = rng.permutation(len(scenario.edits))
    chosen = {scenario.edits[i].family: scenario.edits[i] for i in order}
    cases = []
    for edit in chosen.values():
        reference, target = (render(scenario.states[i], size, cutouts) for i in (edit.source, edit.target))
        keep = np.abs(reference.astype(int) - target).max(-1) <= 2
        cases.append(Case(edit.family, phrase(rng, edit, held_out=True), reference, target, keep, edit.words))
    return cases


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal to noise ratio of two uint8 arrays, in dB, at most 60."""
    error = np.mean((from_bytes(first) - from_bytes(second)) ** 2)
    return float(-10 * np.log10(max(error, 1e-6)))


def is_close(case: Case, result: np.ndarray) -> bool:
    """The error left is at most a third of what copying the reference would leave."""
    left, before = (np.mean((from_bytes(p) - from_bytes(case.target)) ** 2) for p in (result, case.reference))
    return bool(left < CLOSE * before)


def is_scene(case: Case, result: np.ndarray) -> bool:
    """Around the subject, the colours by height are nearest to those of the scene that was asked for."""
    described = describe(result, ~case.keep)
    distances = {
        name: min(np.abs(described - describe(sample, ~case.keep)).mean() for sample in paintings(name, result.shape))
        for name in SCENES
    }
    return min(distances, key=distances.__getitem__) == case.words["background"]


@lru_cache(maxsize=64)
def paintings(name: str, shape: tuple[int, ...]) -> list[np.ndarray]:
    """A dozen examples of a scene, uint8."""
    return [(paint(name, seed, (shape[0], shape[1])) * 255).astype(np.uint8) for seed in range(12)]


def describe(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean and deviation of the colours in six bands from top to bottom, over the pixels `where`."""
    bands = zip(np.array_split(picture, 6), np.array_split(where, 6), strict=True)
    pixels = [from_bytes(band[mask]) if mask.any() else np.zeros((1, 3)) for band, mask in bands]
    return np.concatenate([np.concatenate([p.mean(0), p.std(0)]) for p in pixels])


def has_flakes(case: Case, result: np.ndarray) -> bool:
    """Bright spots cover 2 to 40 % more of the picture than before, and their sum is near the target's."""
    spots = [float(np.mean(sharp_light(picture) > 0.12)) for picture in (case.reference, result, case.target)]
    return spots[0] + 0.4 * (spots[2] - spots[0]) < spots[1] < 0.4


def sharp_light(picture: np.ndarray) -> np.ndarray:
    """How much brighter each pixel is than its surroundings, (H, W)."""
    light = from_bytes(picture)
    return luminance(light - gaussian(light, 0.05))


CHECKS: dict[str, Callable[[Case, np.ndarray], bool]] = {"background": is_scene, "snow": has_flakes, "rain": has_flakes}


def judge(case: Case, result: np.ndarray) -> Score:
    """Whether the edit happened and the rest was kept (pixels to keep, if there are enough of them to speak of)."""
    kept = psnr(result[case.keep], case.reference[case.keep]) if case.keep.mean() > 0.02 else float("nan")
    happened = CHECKS.get(case.family, is_close)(case, result)
    passed = happened and not kept < KEPT_DB
    return Score(happened, passed, psnr(result, case.target), psnr(case.reference, case.target), kept)


def edit(pipeline: FluxKontextPipeline, cases: list[Case], steps: int, guidance: float) -> list[np.ndarray]:
    """The pipeline's results for cases of one size, in one batch, from seed 0."""
    height, width = cases[0].reference.shape[:2]
    result = pipeline(
        image=[Image.fromarray(case.reference) for case in cases],
        prompt=[case.prompt for case in cases],
        height=height,
        width=width,
        max_area=height * width,
        max_sequence_length=64,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
        _auto_resize=False,
    )
    return [(image * 255 + 0.5).astype(np.uint8) for image in result.images]


def evaluate_checkpoint(
    folder: Path, cutouts: Cutouts, output: Path, per_family: int = 8, size: Size = (128, 128), steps: int = 35
) -> str:
    """Edit every case with the stock pipeline; writes a contact sheet and the table to `output`, returns the table."""
    pipeline = FluxKontextPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    table, sheet = [HEADER, "|---|---|---|---|---|"], []
    for family in FAMILIES:
        cases = draw_cases(cutouts, per_family, size, (family,))
        results = edit(pipeline, cases, steps, guidance=7.0)
        table.append(summarise(family, [judge(*pair) for pair in zip(cases, results, strict=True)]))
        sheet.append(lay_out(cases[:4], results[:4]))
        print(table[-1], flush=True)
    output.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(sheet)).save(output / "contact-sheet.png")
    (output / "table.md").write_text("\n".join(table) + "\n")
    return "\n".join(table)


def summarise(family: str, scores: list[Score]) -> str:
    """One line of the table."""
    counts = [sum(score.happened for score in scores), sum(score.passed for score in scores)]
    kept = [score.kept for score in scores if not np.isnan(score.kept)]
    means = [np.mean([score.psnr for score in scores]), np.mean([score.copying for score in scores])]
    kept_text = f"{np.mean(kept):.1f}" if kept else "–"
    columns = [*(f"{count}/{len(scores)}" for count in counts), f"{means[0]:.1f} ({means[1]:.1f})", kept_text]
    return " | ".join(["| " + family.replace("_", " "), *columns]) + " |"


def lay_out(cases: list[Case], results: list[np.ndarray]) -> np.ndarray:
    """One row: reference, result and target of each case, side by side."""
    triples = [(case.reference, result, case.target) for case, result in zip(cases, results, strict=True)]
    return np.concatenate([picture for triple in triples for picture in triple], axis=1)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=ROOT.parent / "checkpoints" / "nano" / "openkontext_nano")
    parser.add_argument("--state", type=Path, default=ROOT / "state", help="where the data packages are, or go")
    parser.add_argument("--cases", type=int, default=8, help="held-out cases for each family")
    parser.add_argument("--steps", type=int, default=35)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 128), metavar=("HEIGHT", "WIDTH"))
    options = parser.parse_args()
    cutouts = load_cutouts(options.state / "data", max(options.size) * 5 // 4)
    output = options.state / "evaluation"
    evaluate_checkpoint(options.checkpoint, cutouts, output, options.cases, tuple(options.size), options.steps)


if __name__ == "__main__":
    main()

"""Measures a checkpoint on objects, photographs and wordings it never saw: `python -m training.evaluate --help`.

A case passes if the edit happened, by a property that can be measured, and what the prompt doesn't name was kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from diffusers import FluxKontextPipeline
from PIL import Image

from training.canvas import Size, from_bytes, gaussian, luminance, same
from training.effects import EFFECTS
from training.phrases import FAMILIES, phrase
from training.scenarios import Scenario, draw_photo_scenario, draw_scenario, name_row
from training.scenes import SCENES, paint
from training.sources import Cutouts, load_cutouts
from training.start import read_side
from training.states import render

# The bars, set before the training that they judge (sepia's and removing's after it, see the card): of what is kept,
# in dB; of what changes, the share of copying's squared error that may be left, over the whole picture or over the part
# that changes (there, half as strong a ghost; what was hidden may have another texture).
KEPT_DB = 20.0
CLOSE = 0.35
PART_CLOSE = 0.25
GONE_NEAR = 0.5
# How far a picture is blurred where it is looked at from afar, in sides.
AFAR = 0.05
# Seeds of the scenarios: those that a run shows while it trains, those that weights are chosen by, and those that the
# chosen ones are judged by.
SHOWN, CHOSEN_BY, JUDGED = 90_000_000, 290_000_000, 190_000_000
# What is asked of ordinary photographs; the last two of those with a clear subject.
ON_PHOTOS = (*EFFECTS, "clear", "mirror", "background", "plain background")
# Each line of the table: a family, and whether it is asked of photographs.
ROWS = {family: (family, False) for family in FAMILIES} | {name_row(name, True): (name, True) for name in ON_PHOTOS}
GUIDANCES = (0.0, 3.5, 7.0, 10.0)
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
    cutouts: Cutouts,
    per_family: int,
    size: Size,
    families: tuple[str, ...] = FAMILIES,
    *,
    seed: int = JUDGED,
    photos: bool = False,
) -> list[Case]:
    """Held-out objects in new scenes, or held-out photos, with held-out wordings: `per_family` of each in turn."""
    cases: dict[str, list[Case]] = {family: [] for family in families}
    while wanted := {family for family, found in cases.items() if len(found) < per_family}:
        rng = np.random.default_rng(seed)
        for case in draw_family_cases(rng, cutouts, size, wanted, photos):
            cases[case.family].append(case)
        seed += 1
    return [case for family in families for case in cases[family]]


def draw_family_cases(
    rng: np.random.Generator, cutouts: Cutouts, size: Size, wanted: set[str], photos: bool
) -> list[Case]:
    """One case of each wanted family that random held-out scenarios have; none if they aren't of the kind asked for."""
    scenario = draw_scenario(rng, cutouts, held_out=True)
    if photos != (scenario.states[0].subject is None):
        return []
    cases = draw_scenario_cases(rng, scenario, cutouts, size, wanted)
    if photos:
        behind = draw_photo_scenario(rng, cutouts, held_out=True)
        from_photo = [edit for edit in behind.edits if edit.source == 0]
        cases += draw_scenario_cases(rng, Scenario(behind.states, from_photo), cutouts, size, wanted)
    return cases


def draw_scenario_cases(
    rng: np.random.Generator, scenario: Scenario, cutouts: Cutouts, size: Size, wanted: set[str]
) -> list[Case]:
    """A random case of each of its families that is wanted; which else are doesn't change it."""
    order = rng.permutation(len(scenario.edits))
    chosen = {scenario.edits[i].family: scenario.edits[i] for i in order}
    cases = []
    for edit in chosen.values():
        prompt = phrase(rng, edit, held_out=True)
        if edit.family not in wanted:
            continue
        reference, target = (render(scenario.states[i], size, cutouts) for i in (edit.source, edit.target))
        keep = same(reference, target)
        cases.append(Case(edit.family, prompt, reference, target, keep, edit.words))
    return cases


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal to noise ratio of two uint8 arrays, in dB, at most 60."""
    error = np.mean((from_bytes(first) - from_bytes(second)) ** 2)
    return float(-10 * np.log10(max(error, 1e-6)))


def is_close(case: Case, result: np.ndarray) -> bool:
    """The error left is at most a third of what copying the reference would leave."""
    return error_left(case, result) < CLOSE


def is_close_in_part(case: Case, result: np.ndarray) -> bool:
    """So it is where the edit changes something: over the whole picture, the rest would outweigh a small object."""
    return error_left(case, result, ~case.keep) < PART_CLOSE


def error_left(case: Case, result: np.ndarray, where: np.ndarray | bool = True, blur: float = 0.0) -> float:
    """The squared error to the target over the pixels `where`, as a share of the one that copying would leave.

    All pictures are blurred by `blur` sides before.
    """
    after, before, target = (gaussian(from_bytes(each), blur) for each in (result, case.reference, case.target))
    left, copied = (np.mean(((picture - target) ** 2).mean(-1), where=where) for picture in (after, before))
    return float(left / copied)


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


def is_toned(case: Case, result: np.ndarray) -> bool:
    """Seen from afar it is close to the target, and what is seen is the same.

    Over the whole picture sepia changes a brown cat less than the autoencoder does: its target wouldn't pass either.
    """
    return error_left(case, result, blur=AFAR) < CLOSE and psnr(result, case.target) > KEPT_DB


def is_gone(case: Case, result: np.ndarray) -> bool:
    """Where something was taken away, it is close to the target from afar, and from near half of the error is gone.

    What was hidden can't be known in detail: other fur in an apple's place has twice the error of none.
    """
    far, near = (error_left(case, result, ~case.keep, blur) for blur in (AFAR, 0))
    return far < PART_CLOSE and near < GONE_NEAR


def has_weather(case: Case, result: np.ndarray) -> bool:
    """Seen from afar it is close to the target; from near, it has about as much light in flakes or streaks."""
    found, wanted = (light_in_details(picture) for picture in (result, case.target))
    return error_left(case, result, blur=AFAR) < CLOSE and 0.6 * wanted < found < 1.6 * wanted


def light_in_details(picture: np.ndarray) -> float:
    """The mean luminance of what is brighter than it is from afar."""
    floats = from_bytes(picture)
    return float(np.mean(luminance(np.maximum(floats - gaussian(floats, AFAR), 0))))


CHECKS: dict[str, Callable[[Case, np.ndarray], bool]] = {
    "background": is_scene,
    "sepia": is_toned,
    "snow": has_weather,
    "rain": has_weather,
    "recolour": is_close_in_part,
    "remove": is_gone,
    "add": is_close_in_part,
    "replace": is_close_in_part,
}


def judge(case: Case, result: np.ndarray) -> Score:
    """Whether the edit happened and the rest was kept (pixels to keep, if there are enough of them to speak of)."""
    kept = psnr(result[case.keep], case.reference[case.keep]) if case.keep.mean() > 0.02 else float("nan")
    happened = CHECKS.get(case.family, is_close)(case, result)
    passed = happened and not kept < KEPT_DB
    return Score(happened, passed, psnr(result, case.target), psnr(case.reference, case.target), kept)


def edit(
    pipeline: FluxKontextPipeline, cases: list[Case], steps: int, guidance: float = 7.0, seed: int = 0
) -> list[np.ndarray]:
    """The pipeline's results for cases of one size, in one batch."""
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
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
        _auto_resize=False,
    )
    return [(image * 255 + 0.5).astype(np.uint8) for image in result.images]


@dataclass(frozen=True)
class Exam:
    """What a checkpoint in `folder` is asked, and where the data packages are that the cases are drawn from."""

    folder: Path
    data: Path
    per_family: int
    size: Size
    steps: int
    rows: tuple[str, ...] = tuple(ROWS)
    seed: int = JUDGED

    @property
    def cutouts(self) -> Cutouts:
        """What its pictures are made of."""
        return load_cutouts(self.data, max(self.size) * 5 // 4)

    def draw(self, per_family: int, families: tuple[str, ...] = FAMILIES, photos: bool = False) -> list[Case]:
        """Its cases."""
        return draw_cases(self.cutouts, per_family, self.size, families, seed=self.seed, photos=photos)


def evaluate_checkpoint(exam: Exam, output: Path) -> str:
    """Edit every case with the stock pipeline; writes a contact sheet and the table to `output`, returns the table.

    A process for each core, with one thread: two threads would wait for each other.
    """
    table, sheet = [HEADER, "|---|---|---|---|---|"], []
    # Fetched and decoded here once, where they aren't yet: the processes would all begin to.
    _ = exam.cutouts
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        parameters = pool.submit(measure_parameters, exam) if exam.rows == tuple(ROWS) else None
        for line, examples in pool.map(examine, [exam] * len(exam.rows), exam.rows):
            table.append(line)
            sheet.append(examples)
            print(line, flush=True)
        if parameters:
            table += ["", *parameters.result()]
            print("\n".join(table[-4:]), flush=True)
    output.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(sheet)).save(output / "contact-sheet.png")
    (output / "table.md").write_text("\n".join(table) + "\n")
    return "\n".join(table)


def examine(exam: Exam, row: str) -> tuple[str, np.ndarray]:
    """A line of the table, and some of its cases in a row of pictures."""
    family, photos = ROWS[row]
    cases = exam.draw(exam.per_family, (family,), photos)
    results = edit(load_pipeline(exam.folder), cases, exam.steps)
    scores = [judge(*pair) for pair in zip(cases, results, strict=True)]
    return summarise(row, scores), lay_out(cases[:4], results[:4])


@lru_cache(maxsize=1)
def load_pipeline(folder: Path) -> FluxKontextPipeline:
    """The stock pipeline, without its progress bars."""
    pipeline = FluxKontextPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def measure_parameters(exam: Exam) -> list[str]:
    """A line each on what guidance, seed and the number of steps change, as PSNRs in dB over one case a family."""
    pipeline, cases, steps = load_pipeline(exam.folder), exam.draw(1), exam.steps
    by_guidance = {guidance: edit(pipeline, cases, steps, guidance) for guidance in GUIDANCES}
    usual = by_guidance[7.0]
    references, targets = [case.reference for case in cases], [case.target for case in cases]
    changes = [f"{guidance:g}: {mean_psnr(found, references):.1f}" for guidance, found in by_guidance.items()]
    reseeded, hasty = edit(pipeline, cases, steps, seed=1), edit(pipeline, cases, 4)
    return [
        f"Likeness to the reference by guidance: {', '.join(changes)} dB.",
        f"Likeness of two seeds' results: {mean_psnr(usual, reseeded):.1f} dB.",
        f"PSNR to the target with {steps} steps and with 4: {mean_psnr(usual, targets):.1f} and "
        f"{mean_psnr(hasty, targets):.1f} dB.",
    ]


def mean_psnr(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """The mean of the pairs' PSNRs."""
    return float(np.mean([psnr(*pair) for pair in zip(first, second, strict=True)]))


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
    parser.add_argument("--families", nargs="+", choices=ROWS, default=ROWS, metavar="FAMILY", help="only these")
    parser.add_argument("--choose", action="store_true", help="on other cases than those that are reported")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="by default a square")
    options = parser.parse_args()
    seed = CHOSEN_BY if options.choose else JUDGED
    size = tuple(options.size) if options.size else (read_side(options.checkpoint),) * 2
    rows = tuple(options.families)
    exam = Exam(options.checkpoint, options.state / "data", options.cases, size, options.steps, rows, seed)
    evaluate_checkpoint(exam, options.state / "evaluation")


if __name__ == "__main__":
    main()

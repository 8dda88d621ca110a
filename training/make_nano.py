"""`python -m training.make_nano`: from data packages to `checkpoints/nano`, in stages that go on where they were."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from transformers import CLIPTokenizer

from training import together
from training.evaluate import SHOWN, Exam, draw_cases, evaluate_checkpoint
from training.export import export
from training.latents import encode_pictures, make_shards, measure_latents, read_shards
from training.nano import Nano, sample
from training.pairs import WEIGHTS, Pairs
from training.sources import Cutouts, SourceError, fetch, load_cutouts
from training.start import Start, extend, read_side
from training.text import list_words, make_corpus, make_t5_tokenizer, train_clip_tokenizer
from training.train import Trainer, train
from training.vae import measure_psnr, refine_decoder, render_pool, train_vae

ROOT = Path(__file__).parent
CHECKPOINT = ROOT.parent / "checkpoints" / "nano" / "openkontext_nano"


@dataclass
class Run:
    """What the stages share."""

    options: argparse.Namespace
    device: torch.device
    cutouts: Cutouts
    start: Start | None
    vae: AutoencoderKL

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.options.state


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    gpus = torch.cuda.device_count()
    gpu = gpus > 0
    parser = argparse.ArgumentParser(prog="python -m training.make_nano", description=__doc__)
    parser.add_argument("--state", type=Path, default=ROOT / "state", help="where the run is kept, to go on from")
    help_size = "side of a square picture, in pixels; by default that of the checkpoint to begin with, or 128"
    parser.add_argument("--size", type=int, help=help_size)
    parser.add_argument("--minutes-vae", type=float, default=5 if gpu else 20, help="budget of the autoencoder")
    parser.add_argument("--minutes-decoder", type=float, default=3 if gpu else 10, help="then, of its decoder alone")
    parser.add_argument("--minutes", type=float, default=10 if gpu else 90, help="budget of the transformer")
    parser.add_argument("--shards", type=int, default=400 if gpu else 40, help="shards of 50 scenarios to render")
    parser.add_argument("--seen", type=int, default=0, help="how many shards earlier runs have seen: these are skipped")
    parser.add_argument("--batch", type=int, default=512 if gpu else 48, help="edits in a training step")
    parser.add_argument("--rate", type=float, default=1.0, help="factor of the learning rate; half to go on")
    parser.add_argument("--processes", type=int, default=gpus or os.cpu_count(), help="how many share a batch")
    shares = ", ".join(f"{family}={share}" for family, share in WEIGHTS.items())
    help_weights = f"how often families are drawn, 0 for never, where not {shares}"
    parser.add_argument("--weights", nargs="*", default=(), type=weight, metavar="FAMILY=WEIGHT", help=help_weights)
    parser.add_argument("--begin", type=Path, help="a checkpoint to go on from, instead of from nothing")
    parser.add_argument("--cases", type=int, default=10, help="held-out cases for each family in the evaluation")
    parser.add_argument("--output", type=Path, default=CHECKPOINT, help="where the checkpoint is written")
    parser.add_argument("--export-only", action="store_true", help="write what there is of the checkpoint, and stop")
    options = parser.parse_args(arguments)
    options.size = options.size or (read_side(options.begin) if options.begin else 128)
    return options


def weight(text: str) -> tuple[str, float]:
    """A family and its weight, of `--weights`."""
    family, _, number = text.partition("=")
    if family not in WEIGHTS or not number.replace(".", "", 1).isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a family of edits, '=' and a number, as in 'mirror=0'")
    return family, float(number)


def main() -> None:
    """Fetch, train the VAE, cache latents, train the rest, export, evaluate."""
    options = parse()
    fetch(options.state / "data")
    run = prepare(options)
    if not options.export_only:
        numbers = range(options.seen, options.seen + options.shards)
        make_shards(options.state, run.vae, options.size, numbers, run.device)
    normalise(run)
    nano, words = make_model(run)
    if not options.export_only:
        together.run_together(train_nano, options.processes, options.state, options)
    trained = Trainer(nano, options.state / "nano.pt").averaged()
    minutes_decoder = 0.0 if options.export_only else options.minutes_decoder
    refine_decoder(run.vae, options.state, options.size, minutes_decoder, run.device)
    pictures = render_pool(run.state / "data", 200, options.size)
    print(f"vae  {measure_psnr(run.vae, pictures, run.device):.2f} dB")
    export(trained, run.vae, words, pictures, options.size, options.output)
    print(f"written to {options.output}")
    if not options.export_only:
        size = options.size, options.size
        exam = Exam(options.output, options.state / "data", options.cases, size, steps=35)
        evaluate_checkpoint(exam, options.state / "evaluation")


def prepare(options: argparse.Namespace) -> Run:
    """The data, and the autoencoder: the one to begin with, or trained."""
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cutouts = load_cutouts(options.state / "data", options.size * 5 // 4)
    start = Start(options.begin) if options.begin else None
    vae = start.vae.to(device) if start else train_vae(options.state, options.size, options.minutes_vae, device)
    return Run(options, device, cutouts, start, vae)


def normalise(run: Run) -> None:
    """Measure the latents once, and give the VAE's config their shift and scale; one begun with has them."""
    if run.start:
        return
    path = run.state / "latents.json"
    if not path.exists():
        path.write_text(json.dumps(measure_latents(list(read_shards(run.state)))))
    shift, scale = json.loads(path.read_text())
    run.vae.register_to_config(shift_factor=shift, scaling_factor=scale)


def make_model(run: Run) -> tuple[Nano, list[str]]:
    """A model and the words of its vocabulary: fresh, or with the weights and words of the checkpoint to begin with."""
    start = run.start
    words_path, clip_path = run.state / "words.json", run.state / "clip-tokenizer"
    if not words_path.exists():
        corpus = make_corpus(run.cutouts)
        clip = start.clip_tokenizer if start else train_clip_tokenizer(corpus)
        clip.save_pretrained(clip_path)
        words_path.write_text(json.dumps(extend(start.words if start else [], list_words(corpus))))
    words = json.loads(words_path.read_text())
    nano = Nano(CLIPTokenizer.from_pretrained(clip_path), make_t5_tokenizer(words, cased=False))
    if start:
        start.give_weights(nano)
    return nano.to(run.device), words


def train_nano(options: argparse.Namespace) -> None:
    """Train the transformer and text encoders; in a process of its own where there are several."""
    run = prepare(options)
    normalise(run)
    nano, _ = make_model(run)
    config = run.vae.config
    weights = WEIGHTS | dict(options.weights)
    pairs = Pairs(list(read_shards(run.state)), config.shift_factor, config.scaling_factor, weights)

    def draw_samples(model: Nano, step: int) -> None:
        save_grid(run, model, run.state / "samples" / f"{step:06d}.png")

    budget = {"minutes": options.minutes, "count": options.batch, "rate": options.rate}
    train(nano, pairs, run.state, **budget, on_picture=draw_samples)


@torch.no_grad()
def save_grid(run: Run, nano: Nano, path: Path) -> None:
    """A picture of held-out edits as they are now: reference, result and target in each row of three, six abreast."""
    cases = draw_cases(run.cutouts, per_family=2, size=(run.options.size, run.options.size), seed=SHOWN)
    references = np.stack([case.reference for case in cases])
    config = run.vae.config
    latents = (encode_pictures(run.vae, references, run.device).float() - config.shift_factor) * config.scaling_factor
    edited = sample(nano, latents.to(run.device), [case.prompt for case in cases])
    pictures = run.vae.decoder(edited / config.scaling_factor + config.shift_factor).clamp(-1, 1)
    results = ((pictures.permute(0, 2, 3, 1).cpu().numpy() + 1) * 127.5).astype(np.uint8)
    triples = [np.concatenate(triple, 1) for triple in zip(references, results, [c.target for c in cases], strict=True)]
    triples += [np.zeros_like(triples[0])] * (-len(triples) % 6)
    lines = [np.concatenate(triples[i : i + 6], 1) for i in range(0, len(triples), 6)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(lines)).save(path)


if __name__ == "__main__":
    try:
        main()
    except SourceError as error:
        sys.exit(f"error: {error}")

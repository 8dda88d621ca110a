"""Our sampling loop and diffusers' `FluxKontextPipeline`, side by side on one GPU, without the gated weights.

The transformer (11.9 B parameters) and the VAE of FLUX.1 Kontext [dev] are made on the device with random bfloat16
weights, and the text embeddings are random: how long an edit takes does not depend on their values. One edit is a
1024x1024 output of a 1024x1024 reference and 512 text tokens: VAE encoding, denoising, VAE decoding. Text encoding
is not in it. Both loops run the same modules and start from the same seed; the largest difference between their
pictures is printed as proof that they do the same work.

    python benchmarks/gpu.py [--output gpu.json] [--modes eager compiled] [--steps 28 35] [--repeats 2]

It needs torch, diffusers and transformers, and a GPU with 40 GB. `--tiny` takes the same way with a tiny model on any
device, to check the script; its figures mean nothing.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxKontextPipeline, FluxTransformer2DModel
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # so that a bare checkout is enough

from openkontext.engine import Checkpoint, Configuration
from openkontext.engine.sampler import Order, sample
from openkontext.engine.text import Text

SEED, GUIDANCE, DTYPE = 42, 3.5, torch.bfloat16
STEPS_WATCHED = 6  # single steps timed for the median of one; the first is left out

# transformer/config.json, vae/config.json and scheduler/scheduler_config.json of black-forest-labs/FLUX.1-Kontext-dev
TRANSFORMER = {
    "in_channels": 64,
    "num_layers": 19,
    "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "guidance_embeds": True,
    "axes_dims_rope": (16, 56, 56),
}
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 16,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
SCHEDULER = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15, "shift": 3.0}

TINY_TRANSFORMER = TRANSFORMER | {
    "num_layers": 1,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "pooled_projection_dim": 32,
    "axes_dims_rope": (4, 6, 6),
}
TINY_VAE = VAE | {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4}


@dataclass(frozen=True)
class Bench:
    """What both loops work on."""

    checkpoint: Checkpoint
    pipeline: Any
    picture: Tensor  # [1, 3, side, side] in -1 to 1
    text: Text
    side: int

    def ours(self, steps: int, on_step: Callable[[], None]) -> Tensor:
        """An edit by our loop: [1, 3, side, side] in -1 to 1."""
        order = Order(self.side, self.side, GUIDANCE, steps, SEED)
        with torch.inference_mode():
            return sample(self.checkpoint, self.picture, self.text, order, lambda step, finished: on_step())

    def theirs(self, steps: int, on_step: Callable[[], None]) -> Tensor:
        """The same edit by diffusers' pipeline."""

        def step_end(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            on_step()
            return tensors

        picture = self.pipeline(
            image=self.picture / 2 + 0.5,
            prompt_embeds=self.text.prompt_embeds,
            pooled_prompt_embeds=self.text.pooled,
            width=self.side,
            height=self.side,
            max_area=self.side**2,
            _auto_resize=False,
            num_inference_steps=steps,
            guidance_scale=GUIDANCE,
            generator=torch.Generator("cpu").manual_seed(SEED),
            output_type="pt",
            callback_on_step_end=step_end,
        ).images
        return picture * 2 - 1


def main() -> None:
    """Measure, print a table, write JSON."""
    arguments = parse()
    device = torch.device(arguments.device)
    report: dict[str, Any] = {"machine": machine(device), "tiny": arguments.tiny}
    report["matmul_tflops"] = matmul_rate(device, 256 if arguments.tiny else 8192)
    bench = build(device, arguments.tiny)
    report["parameters"] = sum(parameter.numel() for parameter in bench.checkpoint.transformer.parameters())
    report["step_tflop"] = step_tflop(bench)
    report["largest_difference"] = largest_difference(bench)
    print(json.dumps(report, indent=1), flush=True)
    report["results"] = [row for mode in arguments.modes for row in measure_mode(bench, mode, arguments)]
    print(table(report))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--modes", nargs="+", choices=["eager", "compiled"], default=["eager", "compiled"])
    parser.add_argument("--steps", type=int, nargs="+", default=[28, 35])
    parser.add_argument("--repeats", type=int, default=2, help="edits measured for each loop and number of steps")
    parser.add_argument("--tiny", action="store_true", help="a tiny model, to check this script")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    return parser.parse_args()


def machine(device: torch.device) -> dict[str, Any]:
    """What it runs on."""
    versions = {name: version(name) for name in ("torch", "diffusers", "transformers")}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"device": name, "cuda": torch.version.cuda, "python": platform.python_version(), **versions}


def build(device: torch.device, tiny: bool) -> Bench:
    """Random models on the device, and one edit's inputs for them."""
    torch.manual_seed(SEED)
    transformer = random_model(FluxTransformer2DModel, TINY_TRANSFORMER if tiny else TRANSFORMER, device)
    vae = random_model(AutoencoderKL, TINY_VAE if tiny else VAE, device)
    side, tokens = (128, 16) if tiny else (1024, 512)
    checkpoint = Checkpoint(
        name="random",
        fingerprint="",
        configuration=Configuration(),
        device=device,
        dtype=DTYPE,
        scheduler=dict(FlowMatchEulerDiscreteScheduler(**SCHEDULER).config),
        tokenizer=None,
        tokenizer_2=None,
        text_encoder=None,
        text_encoder_2=None,
        transformer=transformer,
        vae=vae,
    )
    return Bench(
        checkpoint=checkpoint,
        pipeline=make_pipeline(checkpoint),
        picture=torch.rand(1, 3, side, side, device=device, dtype=DTYPE) * 2 - 1,
        text=Text(
            torch.randn(1, tokens, transformer.config.joint_attention_dim, device=device, dtype=DTYPE),
            torch.randn(1, transformer.config.pooled_projection_dim, device=device, dtype=DTYPE),
        ),
        side=side,
    )


def random_model(kind: Any, config: dict[str, Any], device: torch.device) -> Any:
    """A model whose weights never were on the CPU: shapes first, then memory on the device, then random values."""
    with torch.device("meta"):
        model = torch.nn.Module.to(kind(**config), DTYPE)  # diffusers' own `to` logs a warning about nothing
    model.to_empty(device=device).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=parameter[0].numel() ** -0.5)  # keeps the activations' size, so no overflow
        else:
            parameter.fill_(float("norm" in name and name.endswith("weight")))
    return model


def make_pipeline(checkpoint: Checkpoint) -> Any:
    """diffusers' pipeline around the same modules."""
    pipeline = FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULER),
        vae=checkpoint.vae,
        transformer=checkpoint.transformer,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(device: torch.device, work: Callable[[], object]) -> float:
    """How long some work takes, the device's part of it included."""
    synchronize(device)
    began = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - began


def matmul_rate(device: torch.device, side: int) -> float:
    """TFLOP/s of a large square bfloat16 product: what the device can do at most, measured rather than read."""
    left, right = (torch.randn(side, side, device=device, dtype=DTYPE) for _ in range(2))
    rounds = 20

    def multiply() -> None:
        for _ in range(rounds):
            left @ right

    multiply()
    return rounds * 2 * side**3 / min(seconds(device, multiply) for _ in range(3)) / 1e12


def step_tflop(bench: Bench) -> float:
    """TFLOP of one step, counted while it runs: linears, convolutions and attention; two edits' VAE work cancels."""
    counts = []
    for steps in (1, 2):
        with FlopCounterMode(display=False) as counter:
            bench.ours(steps, nothing)
        counts.append(counter.get_total_flops())
    return (counts[1] - counts[0]) / 1e12


def largest_difference(bench: Bench) -> float:
    """Between the two loops' pictures of one edit, in 1/255."""
    ours, theirs = (loop(4, nothing).float().clamp(-1, 1) for loop in (bench.ours, bench.theirs))
    return (ours - theirs).abs().max().item() * 127.5


def nothing() -> None:
    """Let a step pass unwatched."""


def measure_mode(bench: Bench, mode: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of figures for both loops, eager or compiled; once compiled, the modules stay so."""
    if mode == "compiled":
        bench.checkpoint.transformer.compile_repeated_blocks(fullgraph=True)
    loops = {"ours": bench.ours, "FluxKontextPipeline": bench.theirs}
    device = bench.checkpoint.device
    # for each loop: inference_mode and no_grad compile apart
    warm_up = {name: seconds(device, partial(loop, 2, nothing)) for name, loop in loops.items()}
    steps = {name: one_step(device, loop) for name, loop in loops.items()}
    edits = edit_seconds(device, loops, arguments.steps, arguments.repeats)
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    return [
        {
            "mode": mode,
            "loop": name,
            "warm_up_s": warm_up[name],
            "step_s": steps[name],
            "edits_s": edits[name],
            "peak_memory_gib": memory,
        }
        for name in loops
    ]


def one_step(device: torch.device, loop: Callable[[int, Callable[[], None]], Tensor]) -> float:
    """The median seconds from the end of one step to the end of the next."""
    ends: list[float] = []

    def step_end() -> None:
        synchronize(device)
        ends.append(time.perf_counter())

    loop(STEPS_WATCHED, step_end)
    return statistics.median(after - before for before, after in pairwise(ends))


def edit_seconds(
    device: torch.device, loops: dict[str, Any], steps: list[int], repeats: int
) -> dict[str, dict[int, list[float]]]:
    """Seconds of whole edits; the loops take turns, so that a device that gets warmer slows both."""
    times: dict[str, dict[int, list[float]]] = {name: {count: [] for count in steps} for name in loops}
    for count in steps:
        for _ in range(repeats):
            for name, loop in loops.items():
                times[name][count].append(seconds(device, partial(loop, count, nothing)))
    return times


def table(report: dict[str, Any]) -> str:
    """The figures as a table: medians, and a step's share of the device's matmul rate."""
    counts = list(report["results"][0]["edits_s"])
    heads = [f"{count} steps s" for count in counts]
    names = f"{'mode':<9} {'loop':<20} {'warm-up s':>9} {'step ms':>8} {'of matmul':>9}"
    lines = [" ".join([names, *(f"{head:>11}" for head in heads)])]
    for row in report["results"]:
        share = report["step_tflop"] / row["step_s"] / report["matmul_tflops"]
        step = f"{row['warm_up_s']:>9.1f} {row['step_s'] * 1000:>8.1f} {share:>9.0%}"
        edits = [f"{statistics.median(row['edits_s'][count]):>11.2f}" for count in counts]
        lines.append(" ".join([f"{row['mode']:<9} {row['loop']:<20}", step, *edits]))
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""How fast the engine is on this machine: loading, then edits at the checkpoint's own size.

python benchmarks/engine.py [--checkpoint nano] [--steps 4 35] [--repeats 5]
"""

import argparse
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import torch
from PIL import Image

from openkontext.engine import Engine

PROMPT = "make it snow"


def main() -> None:
    """Measure and print."""
    arguments = parse()
    print(machine())
    began = time.perf_counter()
    engine = Engine.load(arguments.checkpoint, device=arguments.device)
    seconds = time.perf_counter() - began
    checkpoint = engine.checkpoint
    print(f"{checkpoint.name} {checkpoint.fingerprint} on {checkpoint.device} in {checkpoint.dtype}")
    print(f"load: {seconds:.2f} s, from files in the page cache if it ran before; without the import of torch")
    print(f"\n{'size':>11} {'steps':>5} {'median s':>9} {'fastest s':>9} {'ms a step':>9}")
    for steps in arguments.steps:
        print(row(engine, steps, arguments.repeats))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="nano", help="nano, a folder or a Hugging Face id")
    parser.add_argument("--device", help="a torch device; by default the best there is")
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 35])
    parser.add_argument("--repeats", type=int, default=5, help="edits measured for each number of steps")
    return parser.parse_args()


def machine() -> str:
    """What it runs on, to be read beside the figures."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "diffusers", "transformers"))
    gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    return f"{gpu}{processor()}, {torch.get_num_threads()} threads\nPython {platform.python_version()}, {versions}"


def processor() -> str:
    """The processor's name, which Linux keeps in a file of its own."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def row(engine: Engine, steps: int, repeats: int) -> str:
    """A line of the table: edits of a square picture, after one that is not counted."""
    picture = Image.linear_gradient("L").convert("RGB")
    results = [engine.edit(picture, PROMPT, num_inference_steps=steps, seed=seed) for seed in range(repeats + 1)]
    seconds = [result.inference_time for result in results[1:]]
    median, size = statistics.median(seconds), f"{results[0].width}x{results[0].height}"
    return f"{size:>11} {steps:>5} {median:>9.2f} {min(seconds):>9.2f} {median / steps * 1000:>9.1f}"


if __name__ == "__main__":
    main()

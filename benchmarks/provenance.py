"""What signing costs: milliseconds and bytes for each format and size, and whether memory grows.

    python benchmarks/provenance.py [--times 500]

The picture is made of the photographs in samples/, side by side, with some grain. Encoding is not in the times; reading
and hashing the file is. "CPU" is the processor's time, which on a busy machine says more than the clock.
"""

import argparse
import gc
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from openkontext.media import credentials
from openkontext.media.images import encode
from openkontext.media.notary import Notary
from openkontext.media.xmp import packet

PHOTOS = sorted((Path(__file__).parents[1] / "samples").glob("*.webp"))
SIDES = (1024, 128)
FORMATS = ("png", "jpg", "webp")
RECEIPT = {
    "openkontext": "0.1.0",
    "prompt": "make it snow, and give the tiger a red scarf that matches the colour of its stripes",
    "aspect_ratio": "match_input_image",
    "guidance": 7.0,
    "num_inference_steps": 35,
    "seed": 1_234_567_890_123,
    "output_quality": 90,
    "checkpoint": "black-forest-labs/FLUX.1-Kontext-dev",
    "fingerprint": "3405ef74547932bd",
    "device": "NVIDIA H100 80GB HBM3",
    "dtype": "bfloat16",
    "torch": "2.13.0+cu130",
    "diffusers": "0.42.1",
    "transformers": "5.23.0",
    "pillow": "13.0.0",
    "input_sha256": "7d" * 32,
    "created_at": "2026-11-22T07:00:00Z",
    "request_id": "6f1c2a9e-5b1d-4a38-9c55-0d7c7f3f5e21",
}


def main() -> None:
    """Print a table, then memory before and after ``--times`` signatures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=500)
    times = parser.parse_args().times
    versions = ", ".join(f"{name} {version(name)}" for name in ("c2pa-python", "cryptography"))
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{platform.machine()}, {load}, Python {platform.python_version()}, {versions}")
    print(f"XMP tag: {len(packet('openkontext 0.1.0'))} bytes")
    with tempfile.TemporaryDirectory() as folder:
        notary = Notary.open(Path(folder), "", "")
        print(f"{'file':>12} {'bytes':>9} {'added':>6} {'median ms':>10} {'CPU ms':>8} {'verify, CPU':>12}")
        for side in SIDES:
            for format in FORMATS:
                _measure(notary, side, format)
        _memory(notary, times)


def _picture(side: int, format: str) -> tuple[bytes, dict[str, object]]:
    receipt = RECEIPT | {"width": side, "height": side, "output_format": format}
    picture = Image.new("RGB", (side, side))
    for count, path in enumerate(PHOTOS[:4]):
        with Image.open(path) as photo:
            half = photo.convert("RGB").resize((side // 2, side // 2))
        picture.paste(half, (count % 2 * side // 2, count // 2 * side // 2))
    # They are smaller than that: enlarged, they lack the grain of a photograph, which is most of a PNG's bytes.
    grain = np.random.default_rng(0).normal(0, 1, (side, side, 3))
    grained = Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))
    return encode(grained, format, 90, receipt), receipt


def _measure(notary: Notary, side: int, format: str) -> None:
    data, receipt = _picture(side, format)
    signed = notary.sign(data, format, receipt)
    wall, cpu = _milliseconds(lambda: notary.sign(data, format, receipt), 100)
    _, reading = _milliseconds(lambda: credentials.read(signed, []), 20)
    figures = f"{wall:>10.2f} {cpu:>8.2f} {reading:>12.2f}"
    print(f"{f'{format} {side}²':>12} {len(data):>9} {len(signed) - len(data):>6} {figures}")


def _milliseconds(action: Callable[[], object], times: int) -> tuple[float, float]:
    """The medians by the clock and of the thread's processor time; no other thread has a part in it."""
    wall, cpu = [], []
    for _ in range(times):
        started = time.perf_counter(), time.thread_time()
        action()
        wall.append(time.perf_counter() - started[0])
        cpu.append(time.thread_time() - started[1])
    return statistics.median(wall) * 1e3, statistics.median(cpu) * 1e3


def _memory(notary: Notary, times: int) -> None:
    """Resident memory while a process signs and reads on and on."""
    process = psutil.Process()
    data, receipt = _picture(1024, "png")
    resident = []
    for count in range(times + 1):
        credentials.read(notary.sign(data, "png", receipt), [])
        if count % (times // 5) == 0:
            gc.collect()
            resident.append(f"{process.memory_info().rss / 1e6:.1f}")
    print(f"resident MB after each {times // 5} of {times} signatures of png 1024²: {', '.join(resident)}")


if __name__ == "__main__":
    main()

"""Fuzzes the reading of pictures for as long as one likes, guided by coverage, and says what came of it.

    python -m benchmarks.fuzz_images --minutes 8

The inputs are the seeds and mutations of tests/media/mutations.py, the property that of tests/media/test_image_fuzz.py:
a picture within the bounds, or the refusal ``invalid_image``. It runs in a process of its own, so that a crash of a
decoder shows as that process's end; the input is then in ``--keep``. With atheris installed (``pip install atheris``)
its engine chooses the inputs by the coverage of openkontext's code, else they are drawn at random.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

try:
    import atheris  # type: ignore[import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["openkontext.media.containers"]):
        from openkontext.media import containers
except ImportError:
    atheris = None
    from openkontext.media import containers

from openkontext.contract import Problem
from openkontext.media.images import decode, inspect
from tests.media.mutations import LIMITS, SEEDS, mutated

REPORT = 10.0


class Fuzzer:
    """Counts what inputs did; the current one is in a file while it is tried."""

    def __init__(self, keep: Path, minutes: float) -> None:
        self.keep, self.counts = keep, Counter[str]()
        self.began = time.monotonic()
        self.ends = self.began + 60 * minutes
        self.reported = self.began

    def one(self, choices: bytes) -> None:
        """Try the input that ``choices`` make. Raises whatever isn't a `Problem`."""
        generator = random.Random(choices)
        data = mutated(generator)
        self.keep.write_bytes(data)
        for look in (inspect, decode):
            try:
                look(data, LIMITS)
                self.counts[f"{look.__name__}: taken"] += 1
            except Problem as problem:
                if problem.code != "invalid_image":
                    raise
                self.counts[f"{look.__name__}: refused"] += 1
        self.report()

    def report(self) -> None:
        """Say how far it is, now and then; end the process when the time is up."""
        now = time.monotonic()
        if now - self.reported < REPORT and now < self.ends:
            return
        self.reported = now
        tried = self.counts["decode: taken"] + self.counts["decode: refused"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        used = time.process_time()
        print(f"{now - self.began:.0f} s ({used:.0f} s of CPU), {tried} inputs, {tried / used:.0f} a second of CPU, "
              f"{dict(self.counts)}, peak {peak:.0f} MB", flush=True)  # fmt: skip
        if now >= self.ends:
            self.keep.unlink()
            os._exit(0)


def main() -> None:
    """Start the process and say how it ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--keep", type=Path, default=Path("crash.bin"), help="where the last input is, if it crashed")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        command = [sys.executable, "-m", "benchmarks.fuzz_images", "--inside", "--minutes", str(arguments.minutes)]
        status = subprocess.run([*command, "--keep", str(arguments.keep)]).returncode
        print(f"crashed: {int(status != 0)} (status {status})")
        sys.exit(status != 0)
    print(f"{len(SEEDS)} seeds; " + (f"{containers.__name__} is instrumented" if atheris else "at random"), flush=True)
    run(Fuzzer(arguments.keep, arguments.minutes))


def run(fuzzer: Fuzzer) -> None:
    """Try inputs until the fuzzer ends the process."""
    warnings.simplefilter("always")
    warnings.showwarning = lambda *_, **__: fuzzer.counts.update(["warnings"])
    if atheris:
        atheris.Setup([sys.argv[0], "-max_len=64", "-rss_limit_mb=0", "-timeout=60", "-verbosity=0"], fuzzer.one)
        atheris.Fuzz()
    seed = 0
    while True:
        fuzzer.one(seed.to_bytes(8))
        seed += 1


if __name__ == "__main__":
    main()

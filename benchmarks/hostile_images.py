"""What hostile pictures cost: each is looked at as the gateway does, and decoded and flattened as the worker does.

    python -m benchmarks.hostile_images [--only WORD]

Every look and every decode runs in a process of its own (a fork of one that has imported everything), so that a crash
of a decoder would show, and so that the peak of memory is that picture's alone: VmHWM above what the process had with
the file in it. Times are of the CPU, so that a busy machine changes them little. Linux only. Needs 2 GB of memory and
some minutes.
"""

import argparse
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from PIL import Image, features

from openkontext.contract import Problem
from openkontext.engine.pictures import as_seen
from openkontext.media import datauri
from openkontext.media.images import ImageLimits, decode, inspect
from tests.media.hostile_cases import CASES, URIS, Case

LIMITS = ImageLimits()
PROCESS = Path("/proc/self")


@dataclass(frozen=True)
class Outcome:
    """What one look or decode did: ``verdict`` is what it gave, the refusal's words, or how the process died."""

    verdict: str
    seconds: float = 0.0
    megabytes: float = 0.0

    @property
    def kind(self) -> str:
        """taken, refused or crashed."""
        return next((kind for kind in ("refused", "crashed") if self.verdict.startswith(kind)), "taken")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases with this word in their name")
    arguments = parser.parse_args()
    print_machine()
    print("| input | bytes | look: ms, MB | decode: ms, MB | verdict |\n|---|---|---|---|---|")
    outcomes = [measure(case) for case in CASES if arguments.only in case.name]
    uris = [read(name, make) for name, make in URIS.items() if arguments.only in name]
    print_totals(
        {
            "look": [look for look, _ in outcomes],
            "decode": [decoded for _, decoded in outcomes],
            "data URIs": uris,
        }
    )


def print_machine() -> None:
    """The machine and the versions that matter."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    libraries = ", ".join(f"{name} {features.version(name)}" for name in ("libjpeg_turbo", "webp", "zlib_ng"))
    machine = f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; Python {platform.python_version()}, Pillow {version('pillow')} ({libraries})\n")


def measure(case: Case) -> tuple[Outcome, Outcome]:
    """The row of one case, printed: outcome at the gateway, and at a worker that got the file all the same."""
    data = made(case)
    look, decoded = (apart(lambda call=call: call(data)) for call in (looked_at, seen))
    verdict = look.verdict if look.verdict == decoded.verdict else f"{look.verdict}; worker: {decoded.verdict}"
    print(f"| {case.name} | {len(data):,} | {_figures(look)} | {_figures(decoded)} | {verdict} |", flush=True)
    return look, decoded


def made(case: Case) -> bytes:
    """The file, made in another process: memory that this one had and freed would not show when it is used again."""
    with tempfile.NamedTemporaryFile() as file:
        child = os.fork()
        if not child:
            Path(file.name).write_bytes(case.make())
            os._exit(0)
        os.waitpid(child, 0)
        return file.read()


def read(name: str, make: Callable[[], str]) -> Outcome:
    """The row of one data URI, printed."""
    uri = make()
    outcome = apart(lambda: f"{len(datauri.decode(uri, LIMITS.max_bytes)):,} bytes")
    print(f"| data URI, {name} | {len(uri):,} | {_figures(outcome)} | | {outcome.verdict} |", flush=True)
    return outcome


def looked_at(data: bytes) -> str:
    """The gateway's part."""
    info = inspect(data, LIMITS)
    return f"{info.format} {info.width}×{info.height}"


def seen(data: bytes) -> str:
    """The worker's part."""
    picture = as_seen(decode(data, LIMITS))
    return f"seen as {picture.width}×{picture.height}"


def apart(call: Callable[[], str]) -> Outcome:
    """``call`` in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w") as pipe:
            json.dump(vars(observed(call)), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return Outcome(**json.loads(text)) if text else Outcome(f"crashed: status {status}")


def observed(call: Callable[[], str]) -> Outcome:
    """What ``call`` does to this process."""
    (PROCESS / "clear_refs").write_text("5")
    before, started = peak(), time.process_time()
    try:
        verdict = call()
    except Problem as problem:
        verdict = f"refused: {problem.message.removeprefix('the image ')}"
    except BaseException as error:
        verdict = f"crashed: {error!r}"
    return Outcome(verdict[:160], time.process_time() - started, max(0, peak() - before) / 1e6)


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    found = re.search(r"VmHWM:\s*(\d+)", (PROCESS / "status").read_text())
    assert found
    return int(found[1]) * 1024


def print_totals(totals: dict[str, list[Outcome]]) -> None:
    """How many, and the worst."""
    for name, outcomes in totals.items():
        kinds = {kind: sum(each.kind == kind for each in outcomes) for kind in ("taken", "refused", "crashed")}
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        worst = "slowest {:.2f} s, peak {:.0f} MB".format(
            *(max((getattr(each, what) for each in outcomes), default=0.0) for what in ("seconds", "megabytes"))
        )
        print(f"\n{name}: {len(outcomes)} tried, {counts}; {worst}")


def _figures(outcome: Outcome) -> str:
    return f"{outcome.seconds * 1e3:,.0f}, {outcome.megabytes:,.0f}"


if __name__ == "__main__":
    Image.init()
    main()

"""The engine's benchmark scripts run from a bare checkout, on any device."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def script(name: str, *arguments: str) -> str:
    """What a benchmark prints."""
    command = [sys.executable, str(ROOT / "benchmarks" / name), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment).stdout


def test_gpu_benchmark_compares_both_loops(tmp_path: Path) -> None:
    """On a tiny model, both loops are timed, in the table and in JSON, and make the same picture."""
    output = tmp_path / "gpu.json"
    printed = script("gpu.py", "--tiny", "--modes", "eager", "--steps", "2", "--repeats", "1", "--output", str(output))
    report = json.loads(output.read_text())
    assert ["ours", "FluxKontextPipeline"] == [row["loop"] for row in report["results"]]
    assert ["2", "2"] == [steps for row in report["results"] for steps in row["edits_s"]]
    assert report["largest_difference"] <= 1.5
    assert "2 steps s" in printed


def test_engine_benchmark_prints_a_row_for_each_number_of_steps(tiny_checkpoint: Path) -> None:
    """Versions stand beside the figures, and each number of steps has its row."""
    printed = script("engine.py", "--checkpoint", str(tiny_checkpoint), "--steps", "1", "2", "--repeats", "1")
    rows = [line.split() for line in printed.splitlines() if line.strip().startswith("64x64")]
    assert ["1", "2"] == [row[1] for row in rows]
    assert "diffusers 0.42" in printed

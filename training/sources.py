"""The data packages nano learns from: fetched, checked against their hashes, read into arrays.

The Fluent Emoji 3D pictures (Microsoft, packed by LobeHub) and emojibase's English names for them are MIT; see
`photos` for the rest.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from training import photos

NPM = "https://registry.npmjs.org/"
PICTURES = (NPM + "@lobehub/fluent-emoji-3d/-/fluent-emoji-3d-1.1.0.tgz", "lobehub-fluent-emoji-3d-1.1.0.tgz")
NAMES = (NPM + "emojibase-data/-/emojibase-data-17.0.0.tgz", "emojibase-data-17.0.0.tgz")
SHA256 = {
    PICTURES[1]: "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    NAMES[1]: "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
} | photos.SHA256
GROUPS = {0: "faces", 1: "people", 3: "animals", 4: "food", 5: "travel", 6: "activities", 7: "objects"}
HELD_OUT_SHARE = 0.08


class SourceError(Exception):
    """A data package could not be fetched, or is not the one that nano was made from."""


@dataclass(frozen=True)
class Cutouts:
    """Emoji with transparency: `pixels` is (N, P, P, 4) uint8, `names` and `held_out` have N entries.

    `photos` are whole pictures, (H, W, 3) uint8 each, in the order of `photos.PHOTOS`.
    """

    pixels: np.ndarray
    names: list[str]
    held_out: np.ndarray
    photos: Sequence[np.ndarray] = ()

    def choices(self, held_out: bool) -> np.ndarray:
        """Indices of the objects of one side of the split."""
        return np.flatnonzero(self.held_out == held_out)


def fetch(folder: Path) -> None:
    """Fetch every package that `folder` lacks, and check their hashes. Raises `SourceError`."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for address, archive in (PICTURES, NAMES):
            photos.download(address, folder / archive)
        photos.fetch_archives(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SourceError(f"fetching nano's data failed: {error}; what was fetched is kept, run it again") from error
    for archive in SHA256:
        verify(folder / archive)


def verify(archive: Path) -> None:
    """Raise SourceError unless `archive` has the SHA-256 written in this module."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256[archive.name]:
        raise SourceError(f"{archive}: SHA-256 is {digest}, expected {SHA256[archive.name]}")


def load_cutouts(folder: Path, pixels: int) -> Cutouts:
    """Read the named emoji at `pixels` square, and the photos; decoded once, then mapped from files in `folder`."""
    index, array = folder / f"cutouts-{pixels}.json", folder / f"cutouts-{pixels}.npy"
    kept = [folder / f"photo-{name}.npy" for name in photos.PHOTOS]
    if not index.exists():
        fetch(folder)
        found = decode(folder, pixels)
        np.save(array, np.stack([picture for _, _, picture in found]))
        index.write_text(json.dumps([[code, name] for code, name, _ in found]))
    if not all(path.exists() for path in kept):
        fetch(folder)
        for path, picture in zip(kept, photos.decode_photos(folder), strict=True):
            np.save(path, picture)
    entries = json.loads(index.read_text())
    held_out = np.array([is_held_out(code) for code, _ in entries])
    pictures = [np.load(path, mmap_mode="r") for path in kept]
    return Cutouts(np.load(array, mmap_mode="r"), [name for _, name in entries], held_out, pictures)


def decode(folder: Path, pixels: int) -> list[tuple[str, str, np.ndarray]]:
    """(code, name, RGBA picture) of every emoji that has a name and is a cut-out rather than a tile."""
    names = read_names(folder / NAMES[1])
    found = []
    with tarfile.open(folder / PICTURES[1]) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            code = plain_code(Path(member.name).stem)
            if code in names and member.name.endswith(".webp"):
                picture = decode_picture(archive.extractfile(member).read(), pixels)  # type: ignore[union-attr]
                if 0.12 < (picture[..., 3] > 127).mean() < 0.9:
                    found.append((code, names[code], picture))
    return found


def decode_picture(data: bytes, pixels: int) -> np.ndarray:
    """RGBA (P, P, 4) uint8 of one webp."""
    picture = Image.open(io.BytesIO(data)).convert("RGBA").resize((pixels, pixels), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def read_names(archive: Path) -> dict[str, str]:
    """English names by code of the emoji in GROUPS, without their skin-tone variants."""
    with tarfile.open(archive) as tar:
        entries = json.load(tar.extractfile("package/en/compact.json"))  # type: ignore[arg-type]
    return {plain_code(e["hexcode"]): plain_name(e["label"]) for e in entries if e.get("group") in GROUPS}


def plain_code(code: str) -> str:
    """A code in lower case without variation selectors, on which both packages agree."""
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def plain_name(label: str) -> str:
    """A label as a person would type it."""
    return label.lower().replace("’", "'").replace(":", "").replace(",", "")


def is_held_out(code: str) -> bool:
    """Whether an object is kept for evaluation; by hash, so that it never depends on what else is there."""
    return hashlib.sha256(code.encode()).digest()[0] < 256 * HELD_OUT_SHARE

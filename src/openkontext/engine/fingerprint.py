"""What a checkpoint is, in 16 hexadecimal digits, and whether its files are whole.

A full SHA-256 of FLUX.1 Kontext reads 33 GB. Here each safetensors file counts by its header (names, types, shapes) and
the first 4 KiB of every tensor, each small file whole: any finetune, merge or change of configuration shows, in well
under a second. It tells checkpoints apart; it is no proof against forgery.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SAMPLE = 4096  # bytes of each tensor
_SMALL_FILES = {".json", ".txt", ".model"}


class Damaged(ValueError):
    """A safetensors file is cut off or is none."""


def fingerprint(folder: Path, parts: tuple[str, ...]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 over a checkpoint's parts and its two files at the root.

    Raises:
        Damaged: naming the file.
    """
    digest = hashlib.sha256()
    for path in _files(folder, parts):
        digest.update(path.relative_to(folder).as_posix().encode())
        for piece in _samples(path) if path.suffix == ".safetensors" else (path.read_bytes(),):
            digest.update(piece)
    return digest.hexdigest()[:16]


def _files(folder: Path, parts: tuple[str, ...]) -> list[Path]:
    """What can change an edit, in a stable order."""
    inside = [path for part in parts for path in (folder / part).iterdir()]
    read = [path for path in inside if path.suffix in _SMALL_FILES | {".safetensors"}]
    at_root = [path for path in (folder / "model_index.json", folder / "openkontext.json") if path.exists()]
    return sorted([*at_root, *read])


def _samples(path: Path) -> Iterator[bytes]:
    """The header of a safetensors file, then the first bytes of each of its tensors.

    Format: https://huggingface.co/docs/safetensors: 8 bytes of little-endian header length, a JSON header, the data.
    """
    with path.open("rb") as file:
        header = _header(path, file)
        yield header
        start = 8 + len(header)
        for begin, end in _spans(path, header):
            file.seek(start + begin)
            yield file.read(min(SAMPLE, end - begin))


def _header(path: Path, file: BinaryIO) -> bytes:
    """The JSON header, read only once its length is known to fit the file."""
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    _check_length(path, 8 + length)
    return file.read(length)


def _spans(path: Path, header: bytes) -> list[tuple[int, int]]:
    """Where each tensor lies behind the header, all of it inside the file."""
    try:
        entries = json.loads(header)
        tensors = [entry["data_offsets"] for name, entry in entries.items() if name != "__metadata__"]
        spans = sorted((int(begin), int(end)) for begin, end in tensors)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{path.name} is not a safetensors file") from error
    _check_length(path, 8 + len(header) + max((end for _, end in spans), default=0))
    return spans


def _check_length(path: Path, wanted: int) -> None:
    """Refuse a file that ends before `wanted` bytes."""
    size = path.stat().st_size
    if size < wanted:
        raise Damaged(f"{path.name} is cut off: {size:,} bytes where at least {wanted:,} belong")

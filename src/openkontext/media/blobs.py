"""Blobs: bytes under a key, in a local folder or an object store, through obstore.

    Problem
     ├── BlobNotFound      404, there is nothing under the key (any more)
     └── BlobsUnavailable  503, the storage is full, read-only or out of reach

Keys are the service's own, made from request ids; they are checked all the same, since parts of some come in by URL.
"""

import errno
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from openkontext.contract import Problem

from . import durable

STREAM_CHUNK = 256 * 1024
_KEY_LENGTH = 512
_LISTED = 1000
_KEY = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class BlobNotFound(Problem):
    """There is nothing under ``key``."""

    def __init__(self, key: str) -> None:
        super().__init__("not_found", "there is no such file, or it has expired")
        self.key = key


class BlobsUnavailable(Problem):
    """The storage failed at ``key`` (or could not be opened there).

    ``detail`` is for the log and the operator: unlike the message it may name paths and hosts.
    """

    def __init__(self, key: str, reason: str, detail: str) -> None:
        super().__init__("unavailable", f"the server's file storage {reason}: try again later")
        self.key = key
        self.detail = detail


def is_valid_key(key: str) -> bool:
    """Whether ``key`` is segments of ``a-z 0-9 . _ -`` joined by slashes, none empty or starting with a dot."""
    return len(key) <= _KEY_LENGTH and _KEY.fullmatch(key) is not None


class Blobs:
    """Bytes by key in an object store. Safe to share between threads; every method blocks.

    All methods raise ValueError for a key that `is_valid_key` refuses and `BlobsUnavailable` when the storage fails.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @staticmethod
    def open(location: str | Path, *, reserve: int = 0) -> "Blobs":
        """Open a folder (made if missing) or a URL that obstore knows: ``file``, ``memory``, ``s3``, ``gs``, ``az``.

        ``put`` leaves ``reserve`` bytes of a folder's disk free, for what must be written when it is as good as full.
        """
        text = str(location)
        if not _URL.match(text):
            return _LocalBlobs(Path(location), reserve)
        if urlsplit(text).scheme.lower() == "file":
            return _LocalBlobs(Path(unquote(urlsplit(text).path)), reserve)
        with _errors(text):
            return Blobs(from_url(text))

    def put(self, key: str, data: bytes | IO[bytes]) -> None:
        """Store ``data`` under ``key``, replacing what was there. Atomic; once it returns, it survives a power loss.

        A seekable file is stored as a whole, wherever it stands, and read in pieces.
        """
        _check(key)
        with _errors(key):
            if not isinstance(data, bytes):
                data.seek(0)
            self._store.put(key, data)

    def has_room(self) -> bool:
        """Whether `put` may work; of an object store that is always so."""
        return True

    def keys(self, folder: str, *, older_than: float) -> Iterator[list[str]]:
        """The keys in ``folder`` that were written before ``older_than`` (unix seconds), a thousand or fewer at a time.

        A folder's half-written files are no keys: those that old were left by a crash, and are deleted.
        """
        with _errors(folder):
            for listed in self._store.list(folder, chunk_size=_LISTED):
                old = [each["path"] for each in listed if each["last_modified"].timestamp() < older_than]
                yield list(filter(is_valid_key, old))
                for rest in itertools.filterfalse(is_valid_key, old):
                    self._drop_rest(rest)

    def _drop_rest(self, path: str) -> None:
        """Delete what isn't a blob."""

    def get(self, key: str) -> bytes:
        """The bytes under ``key``; raises `BlobNotFound`."""
        _check(key)
        with _errors(key):
            return bytes(self._store.get(key).bytes())

    def size(self, key: str) -> int:
        """The number of bytes under ``key``; raises `BlobNotFound`."""
        _check(key)
        with _errors(key):
            return self._store.head(key)["size"]

    def exists(self, key: str) -> bool:
        """Whether there is something under ``key``."""
        try:
            self.size(key)
        except BlobNotFound:
            return False
        return True

    def stream(self, key: str, chunk: int = STREAM_CHUNK) -> Iterator[bytes]:
        """The bytes under ``key`` in pieces of about ``chunk``; raises `BlobNotFound` at once, not while read."""
        _check(key)
        with _errors(key):
            result = self._store.get(key)
        return self._pieces(key, iter(result.stream(min_chunk_size=chunk)))

    def copy(self, src: str, dst: str) -> None:
        """Store under ``dst`` what is under ``src``, as `put` does; raises `BlobNotFound`."""
        _check(src)
        _check(dst)
        with _errors(src):
            self._store.copy(src, dst)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete what is under ``keys``; a missing one is fine, so that a deletion cut short can be repeated."""
        for key in keys:
            _check(key)
            # One by one: a batch stops at the first that is missing, and leaves the others.
            try:
                with _errors(key):
                    self._store.delete(key)
            except BlobNotFound:
                continue

    @staticmethod
    def _pieces(key: str, pieces: Iterator[object]) -> Iterator[bytes]:
        while True:
            with _errors(key):
                piece = next(pieces, None)
            if piece is None:
                return
            yield bytes(piece)  # type: ignore[call-overload]  # obstore's Bytes is a buffer, which its stubs don't say


class _LocalBlobs(Blobs):
    """A folder. obstore's LocalStore never syncs (seen with strace), so what must last is written by `durable`."""

    def __init__(self, root: Path, reserve: int) -> None:
        self._reserve = reserve
        with _errors(str(root)):
            self._root = root.expanduser().resolve()
            durable.make_folder(self._root)
            if not os.access(self._root, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self._root))
            super().__init__(LocalStore(prefix=self._root))

    def put(self, key: str, data: bytes | IO[bytes]) -> None:
        _check(key)
        with _errors(key):
            if not self.has_room():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._root))
            durable.write(self._root / key, data)

    def has_room(self) -> bool:
        try:
            disk = os.statvfs(self._root)
        except OSError:
            # A folder that is gone `put` makes anew; of all else it says what is wrong.
            return True
        return disk.f_bavail * disk.f_frsize >= self._reserve

    def copy(self, src: str, dst: str) -> None:
        _check(dst)
        self.put(dst, self.get(src))

    def _drop_rest(self, path: str) -> None:
        if durable.is_aside(self._root / path):
            durable.remove(self._root / path, self._root)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            _check(key)
            with _errors(key):
                durable.remove(self._root / key, self._root)


def _check(key: str) -> None:
    if not is_valid_key(key):
        raise ValueError(f"not a blob key: {key!r}")


@contextmanager
def _errors(key: str) -> Iterator[None]:
    """Turn what the storage raises into this module's errors."""
    try:
        yield
    except FileNotFoundError as error:
        raise BlobNotFound(key) from error
    except OSError as error:
        raise BlobsUnavailable(key, durable.reason(error), str(error)) from error
    except (BaseError, ValueError) as error:
        # ValueError is what obstore raises for a location that it can't parse; our keys were checked before.
        raise BlobsUnavailable(key, "can't be reached", str(error)) from error

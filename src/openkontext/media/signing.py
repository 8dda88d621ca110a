"""Signed, expiring addresses of the files that the gateway serves: unguessable, and checked without the store."""

import fcntl
import hashlib
import hmac
import math
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

from . import durable
from .blobs import is_valid_key

PREFIX = "/files/"
SECRET_BYTES = 32

_LINES = re.compile(rb"([0-9a-f]{64} ([0-9]{1,15}|-)\n)+")


@dataclass(frozen=True)
class Secret:
    """What signs; ``until`` (unix seconds) an address that it signed is good, whatever the address says."""

    value: bytes
    until: float = math.inf


class SecretFile:
    """The secrets in a file, newest first: read again whenever another process has put new ones there.

    A line each, 64 hex digits and the second until which it is good, or ``-``; or the 32 bytes alone of a single one.
    Safe for threads.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it with mode 0600; processes that start at once agree on one secret.

        Raises:
            OSError: the file can't be read or made.
            ValueError: it holds no secrets.
        """
        self._path = path
        if not path.exists():
            durable.create(path, _written([_fresh()]))
        self._read = _stamp(path), _secrets_in(path)

    def secrets(self) -> Sequence[Secret]:
        """Those of the file as it is now; the last that were good, while it is missing or damaged."""
        try:
            # It takes a microsecond or two, so nobody need be told to take a new secret up.
            stamp = _stamp(self._path)
            if stamp != self._read[0]:
                self._read = stamp, _secrets_in(self._path)
        except (OSError, ValueError):
            pass
        return self._read[1]

    def rotate(self, now: float, until: Callable[[], float]) -> float:
        """Put a new secret in front. ``until``, asked when nobody signs with the others any more, says when these end.

        Returns that. What has ended at ``now`` is dropped. Processes that do it at once do it one after the other.
        Raises OSError and ValueError.
        """
        with _locked(self._path.parent):
            others, fresh = _secrets_in(self._path), _fresh()
            self._replace([fresh, *others])
            end = until()
            ending = (replace(each, until=min(each.until, end)) for each in others)
            self._replace([fresh, *(each for each in ending if each.until > now)])
        return end

    def _replace(self, known: Sequence[Secret]) -> None:
        owner = self._path.stat()
        durable.write(self._path, _written(known))
        # Who does it may be root, and the gateway not.
        os.chown(self._path, owner.st_uid, owner.st_gid)


class Signer:
    """Signs with the first of the ``secrets``, verifies with all that are still good: so one can be replaced."""

    def __init__(self, secrets: Callable[[], Sequence[Secret]]) -> None:
        self._secrets = secrets

    def sign(self, key: str, expires_at: int) -> str:
        """The path and query at which the blob ``key`` is served until ``expires_at`` (unix seconds).

        The same arguments give the same address, until the secret is replaced. Raises ValueError for a key that is no
        blob key.
        """
        if not is_valid_key(key):
            raise ValueError(f"not a blob key: {key!r}")
        query = {"expires": expires_at, "signature": _signature(self._secrets()[0].value, key, str(expires_at))}
        return f"{PREFIX}{key}?{urlencode(query)}"

    def verify(self, key: str, expires: str, signature: str, now: float) -> bool:
        """Whether the parts of an address are ones that `sign` made and not expired; any text is fine, none raises."""
        good = [secret.value for secret in self._secrets() if now < secret.until]
        # Compared with every secret, and before the expiry is looked at, so that the time taken tells nothing.
        matches = [_equal(signature, _signature(secret, key, expires)) for secret in good]
        return any(matches) and now < int(expires)

    def seal(self, purpose: str, text: str) -> str:
        """A MAC of ``text``, good for this ``purpose`` alone: for no other, and for no address of a file."""
        return _mac(self._secrets()[0].value, purpose, text)

    def is_sealed(self, purpose: str, text: str, seal: str) -> bool:
        """Whether `seal` made it with the newest secret: a rotation ends all seals. Any text is fine, none raises."""
        return _equal(seal, self.seal(purpose, text))


def _fresh() -> Secret:
    return Secret(secrets.token_bytes(SECRET_BYTES))


def _written(known: Sequence[Secret]) -> bytes:
    ends = ("-" if secret.until == math.inf else str(math.ceil(secret.until)) for secret in known)
    return "".join(f"{secret.value.hex()} {end}\n" for secret, end in zip(known, ends, strict=True)).encode()


def _secrets_in(path: Path) -> list[Secret]:
    data = path.read_bytes()
    if len(data) == SECRET_BYTES:
        return [Secret(data)]
    if not _LINES.fullmatch(data):
        raise ValueError(
            f"{path} is no file of secrets: delete it, and a new one is made; addresses given out then end"
        )
    lines = (line.split() for line in data.decode().splitlines())
    return [Secret(bytes.fromhex(digits), math.inf if end == "-" else float(end)) for digits, end in lines]


def _stamp(path: Path) -> tuple[int, int, int]:
    # A file that replaces another is another inode; with its time and size, should the number be used again.
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns, status.st_size


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone in ``folder`` among those who ask for it. The folder itself, since the file is replaced."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _signature(secret: bytes, key: str, expires: str) -> str:
    # The length in front keeps (key, expires) apart from another split of the same characters.
    message = f"{len(key)}:{key}:{expires}".encode("utf-8", "surrogatepass")
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def _mac(secret: bytes, purpose: str, text: str) -> str:
    # A key for each purpose, so that no text of one can be a text of another.
    key = hmac.digest(secret, purpose.encode(), "sha256")
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _equal(given: str, expected: str) -> bool:
    # As bytes: compare_digest refuses text beyond ASCII.
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())

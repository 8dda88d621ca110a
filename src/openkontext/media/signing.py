"""Signed, expiring addresses of the files that the gateway serves: unguessable, and checked without the store."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from .blobs import is_valid_key
from .durable import create

PREFIX = "/files/"
SECRET_BYTES = 32


class Signer:
    """Signs with the first of ``secrets`` and verifies with all of them, so that a secret can be replaced.

    To rotate: put the new one in front, and drop the old one when the last address that it signed has expired.
    """

    def __init__(self, secrets: bytes | Sequence[bytes]) -> None:
        self._secrets = [secrets] if isinstance(secrets, bytes) else list(secrets)
        if not self._secrets or min(map(len, self._secrets)) < SECRET_BYTES:
            raise ValueError(f"a signer needs secrets of {SECRET_BYTES} bytes or more")

    def sign(self, key: str, expires_at: int) -> str:
        """The path and query at which the blob ``key`` is served until ``expires_at`` (unix seconds).

        The same arguments always give the same address. Raises ValueError for a key that is no blob key.
        """
        if not is_valid_key(key):
            raise ValueError(f"not a blob key: {key!r}")
        query = {"expires": expires_at, "signature": _signature(self._secrets[0], key, str(expires_at))}
        return f"{PREFIX}{key}?{urlencode(query)}"

    def verify(self, key: str, expires: str, signature: str, now: float) -> bool:
        """Whether the parts of an address are ones that `sign` made and not expired; any text is fine, none raises."""
        # Compared with every secret, and before the expiry is looked at, so that the time taken tells nothing.
        matches = [_equal(signature, _signature(secret, key, expires)) for secret in self._secrets]
        return any(matches) and now < int(expires)


def load_or_create_secret(path: Path) -> bytes:
    """The secret kept in ``path``, made at the first call with mode 0600; processes that start at once agree on one.

    Raises:
        OSError: the file can't be read or made.
        ValueError: the file is too short to be a secret.
    """
    if not path.exists():
        create(path, secrets.token_bytes(SECRET_BYTES))
    secret = path.read_bytes()
    if len(secret) < SECRET_BYTES:
        raise ValueError(f"{path} is no secret of {SECRET_BYTES} bytes: delete it, and a new one is made")
    return secret


def _signature(secret: bytes, key: str, expires: str) -> str:
    # The length in front keeps (key, expires) apart from another split of the same characters.
    message = f"{len(key)}:{key}:{expires}".encode("utf-8", "surrogatepass")
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def _equal(given: str, expected: str) -> bool:
    # As bytes: compare_digest refuses text beyond ASCII.
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())

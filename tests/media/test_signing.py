"""Signed addresses: stable, expiring, and nothing of them can be changed."""

import stat
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from openkontext.media.signing import Signer, load_or_create_secret

OLD, NEW = b"o" * 32, b"n" * 32
KEY, EXPIRES = "outputs/5f0c/1.png", 1_800_000_000


def parts(address: str) -> tuple[str, str, str]:
    """Key, expiry and signature of an address, as the gateway's router gives them."""
    split = urlsplit(address)
    query = parse_qs(split.query, strict_parsing=True)
    return split.path.removeprefix("/files/"), query["expires"][0], query["signature"][0]


def test_a_signed_address_verifies_until_it_expires() -> None:
    """It is good to its last second and not after."""
    signer = Signer(OLD)
    key, expires, signature = parts(signer.sign(KEY, EXPIRES))
    assert (KEY, str(EXPIRES)) == (key, expires)
    assert [True, True, False, False] == [
        signer.verify(key, expires, signature, now) for now in (0, EXPIRES - 0.001, EXPIRES, EXPIRES + 1)
    ]


def test_the_same_arguments_give_the_same_address() -> None:
    """A result body reads the same each time, so its URL must."""
    assert Signer(OLD).sign(KEY, EXPIRES) == Signer([OLD, NEW]).sign(KEY, EXPIRES)


def test_secrets_rotate() -> None:
    """The first secret signs, all verify, and a dropped one's addresses are dead."""
    address = parts(Signer(OLD).sign(KEY, EXPIRES))
    rotated = Signer([NEW, OLD])
    assert rotated.verify(*address, now=0)
    assert Signer(NEW).verify(*parts(rotated.sign(KEY, EXPIRES)), now=0)
    assert not Signer(NEW).verify(*address, now=0)


TAMPERED = {
    "another file": ("outputs/5f0c/2.png", "1800000000", None),
    "later": (KEY, "1800000001", None),
    "the same number, written otherwise": (KEY, "01800000000", None),
    "no number": (KEY, "soon", None),
    "empty": ("", "", ""),
    "characters moved from one part to the next": (KEY + "1", "800000000", None),
    "no signature": (KEY, "1800000000", ""),
    "half a signature": (KEY, "1800000000", "half"),
    "in capitals": (KEY, "1800000000", "upper"),
    "beyond ASCII": (KEY, "1800000000", "é" * 64),
    "a lone surrogate": ("\ud800", "\ud800", "\ud800"),
    "traversal": ("../api-key", "1800000000", None),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_nothing_can_be_changed(name: str) -> None:
    """A changed key, expiry or signature is refused, without an exception."""
    signer = Signer(OLD)
    _, _, good = parts(signer.sign(KEY, EXPIRES))
    key, expires, signature = TAMPERED[name]
    made = {None: good, "half": good[:32], "upper": good.upper()}.get(signature, signature)
    assert signer.verify(KEY, str(EXPIRES), good, now=0)
    assert not signer.verify(key, expires, made, now=0)


@pytest.mark.parametrize("key", ["../api-key", "a?b", "", "A"])
def test_only_blob_keys_are_signed(key: str) -> None:
    """What could be read as another path or query is never signed."""
    with pytest.raises(ValueError, match="blob key"):
        Signer(OLD).sign(key, EXPIRES)


@pytest.mark.parametrize("secrets", [b"", b"short", [], [OLD, b"short"]])
def test_weak_secrets_are_refused(secrets: bytes | list[bytes]) -> None:
    """A secret that could be guessed is an error at the start."""
    with pytest.raises(ValueError, match="32 bytes"):
        Signer(secrets)


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    """The file is the owner's alone, and the next start finds the same secret."""
    path = tmp_path / "data" / "signing-secret"
    secret = load_or_create_secret(path)
    assert (32, secret, 0o600) == (len(secret), load_or_create_secret(path), stat.S_IMODE(path.stat().st_mode))
    assert [path] == list(path.parent.iterdir())
    assert secret != load_or_create_secret(tmp_path / "other")


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """Of many first starts at the same moment one makes the secret, and all read it."""
    found: list[bytes] = []
    start = threading.Barrier(8)

    def load() -> None:
        start.wait()
        found.append(load_or_create_secret(tmp_path / "secret"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (8, 1) == (len(found), len(set(found)))


def test_a_damaged_secret_is_not_used(tmp_path: Path) -> None:
    """An empty file must not become a signature that anybody can make."""
    (tmp_path / "secret").write_bytes(b"")
    with pytest.raises(ValueError, match="delete it"):
        load_or_create_secret(tmp_path / "secret")

"""Signed addresses: stable, expiring, and nothing of them can be changed."""

import math
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openkontext.media.signing import Secret, SecretFile, Signer

NAMES = ("key", "expires", "signature")
OLD, NEW = b"o" * 32, b"n" * 32
KEY, EXPIRES = "outputs/5f0c/1.png", 1_800_000_000


def signer(*secrets: bytes) -> Signer:
    """One that knows these secrets, the newest first."""
    return Signer(lambda: [Secret(value) for value in secrets])


def parts(address: str) -> tuple[str, str, str]:
    """Key, expiry and signature of an address, as the gateway's router gives them."""
    split = urlsplit(address)
    query = parse_qs(split.query, strict_parsing=True)
    return split.path.removeprefix("/files/"), query["expires"][0], query["signature"][0]


def test_a_signed_address_verifies_until_it_expires() -> None:
    """It is good to its last second and not after."""
    good = signer(OLD)
    key, expires, signature = parts(good.sign(KEY, EXPIRES))
    assert (KEY, str(EXPIRES)) == (key, expires)
    assert [True, True, False, False] == [
        good.verify(key, expires, signature, now) for now in (0, EXPIRES - 0.001, EXPIRES, EXPIRES + 1)
    ]


def test_the_same_arguments_give_the_same_address() -> None:
    """A result body reads the same each time, so its URL must."""
    assert signer(OLD).sign(KEY, EXPIRES) == signer(OLD, NEW).sign(KEY, EXPIRES)


def test_secrets_rotate() -> None:
    """The first secret signs, all verify, and a dropped one's addresses are dead."""
    address = parts(signer(OLD).sign(KEY, EXPIRES))
    rotated = signer(NEW, OLD)
    assert rotated.verify(*address, now=0)
    assert signer(NEW).verify(*parts(rotated.sign(KEY, EXPIRES)), now=0)
    assert not signer(NEW).verify(*address, now=0)


def test_a_secret_ends() -> None:
    """What it signed is good until then, even if the address says that it is for longer."""
    address = parts(signer(OLD).sign(KEY, EXPIRES))
    ending = Signer(lambda: [Secret(NEW), Secret(OLD, until=100)])
    assert [True, False] == [ending.verify(*address, now=now) for now in (99, 100)]


def test_a_seal_is_good_for_its_purpose_and_text_alone() -> None:
    """Not for another, whatever the parts are, nor for the address of a file."""
    good = signer(OLD)
    seal = good.seal("session", "7.1800000000")
    asked = [("session", "7.1800000000"), ("sessio", "n7.1800000000"), ("session", "7.1800000001"), ("file", "\ud800")]
    assert [True, False, False, False] == [good.is_sealed(*each, seal) for each in asked]
    assert not good.is_sealed("session", "7.1800000000", "é\ud800")
    _, expires, signature = parts(good.sign(KEY, EXPIRES))
    message = f"{len(KEY)}:{KEY}:{expires}"
    assert [False] * 2 == [good.is_sealed(purpose, message, signature) for purpose in ("", "session")]
    assert not good.verify(KEY, expires, good.seal("", message), 0)


def test_a_rotation_ends_all_seals() -> None:
    """Those of an older secret are refused, though its addresses are still good."""
    seal = signer(OLD).seal("session", "text")
    rotated = signer(NEW, OLD)
    assert [True, False] == [each.is_sealed("session", "text", seal) for each in (signer(OLD), rotated)]
    assert rotated.is_sealed("session", "text", rotated.seal("session", "text"))


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
    whole = signer(OLD)
    _, _, good = parts(whole.sign(KEY, EXPIRES))
    key, expires, signature = TAMPERED[name]
    made = {None: good, "half": good[:32], "upper": good.upper()}.get(signature, signature)
    assert whole.verify(KEY, str(EXPIRES), good, now=0)
    assert not whole.verify(key, expires, made, now=0)


PART = st.text(st.characters(), max_size=80) | st.sampled_from([KEY, str(EXPIRES), "0", "-1", "1e9", "../x", "٣"])


@settings(max_examples=300, deadline=None)
@given(key=PART, expires=PART, signature=PART, keep=st.sampled_from(["key", "expires", "signature", "key expires", ""]))
def test_nothing_can_be_made_up(key: str, expires: str, signature: str, keep: str) -> None:
    """Whatever text stands in place of a part of a good address, or of several, it is good no more."""
    whole = signer(NEW, OLD)
    good = parts(whole.sign(KEY, EXPIRES))
    made = [old if name in keep else new for name, old, new in zip(NAMES, good, (key, expires, signature), strict=True)]
    assert (tuple(made) == good) == whole.verify(made[0], made[1], made[2], now=0)


@pytest.mark.parametrize("key", ["../api-key", "a?b", "", "A"])
def test_only_blob_keys_are_signed(key: str) -> None:
    """What could be read as another path or query is never signed."""
    with pytest.raises(ValueError, match="blob key"):
        signer(OLD).sign(key, EXPIRES)


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    """The file is the owner's alone, and the next start finds the same secret."""
    path = tmp_path / "data" / "secret"
    [secret] = SecretFile(path).secrets()
    assert (32, [secret], 0o600) == (len(secret.value), SecretFile(path).secrets(), stat.S_IMODE(path.stat().st_mode))
    assert [path] == list(path.parent.iterdir())
    assert [secret] != SecretFile(tmp_path / "other").secrets()


def at_once(count: int, what: Callable[[], None]) -> None:
    """Do it in so many threads at the same moment."""
    start = threading.Barrier(count)
    threads = [threading.Thread(target=lambda: (start.wait(), what())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """Of many first starts at the same moment one makes the secret, and all read it."""
    found: list[bytes] = []
    at_once(8, lambda: found.append(SecretFile(tmp_path / "secret").secrets()[0].value))
    assert (8, 1) == (len(found), len(set(found)))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x" * 31,
        b"x" * 33,
        b"00" * 32,
        b"00" * 32 + b"\n",
        b"00" * 31 + b" -\n",
        b"00" * 32 + b" soon\n",
        b"00" * 32 + b" -",
        b"00" * 32 + b" -\n\n",
    ],
)
def test_a_damaged_secret_is_not_used(tmp_path: Path, text: bytes) -> None:
    """What was cut short or written otherwise must not become a signature that anybody can make."""
    (tmp_path / "secret").write_bytes(text)
    with pytest.raises(ValueError, match="delete it"):
        SecretFile(tmp_path / "secret")


def test_a_secret_of_bytes_alone(tmp_path: Path) -> None:
    """The file of an earlier version is read, and rotates like any other."""
    path = tmp_path / "secret"
    path.write_bytes(OLD)
    file = SecretFile(path)
    address = parts(Signer(file.secrets).sign(KEY, EXPIRES))
    assert address == parts(signer(OLD).sign(KEY, EXPIRES))
    file.rotate(0, lambda: 100)
    assert [(OLD, 100)] == [(each.value, each.until) for each in file.secrets()[1:]]


def test_rotating(tmp_path: Path) -> None:
    """Whoever has the file open signs with the new one at once, and the old ones' addresses end when they are to."""
    path = tmp_path / "secret"
    gateway, command = SecretFile(path), SecretFile(path)
    running = Signer(gateway.secrets)
    before = parts(running.sign(KEY, EXPIRES))
    command.rotate(0, lambda: 200)
    between = parts(running.sign(KEY, EXPIRES))
    assert before != between
    command.rotate(50, lambda: 100)
    after = parts(running.sign(KEY, EXPIRES))
    expected = {0: (True, True, True), 99: (True, True, True), 100: (False, False, True)}
    got = {now: tuple(running.verify(*each, now=now) for each in (before, between, after)) for now in expected}
    assert expected == got
    command.rotate(150, lambda: 300)
    assert [math.inf, 300] == [secret.until for secret in gateway.secrets()]
    assert (0o600, [path]) == (stat.S_IMODE(path.stat().st_mode), list(tmp_path.iterdir()))


def test_nobody_signs_with_the_old_one_when_its_end_is_asked(tmp_path: Path) -> None:
    """Else what is signed meanwhile could outlive the secret that signed it."""
    file = SecretFile(tmp_path / "secret")
    running = Signer(SecretFile(tmp_path / "secret").secrets)
    addresses = [running.sign(KEY, EXPIRES)]

    def until() -> float:
        addresses.append(running.sign(KEY, EXPIRES))
        return 100

    assert 100 == file.rotate(0, until)
    assert addresses[0] != addresses[1] == running.sign(KEY, EXPIRES)


def test_rotations_at_once(tmp_path: Path) -> None:
    """None is lost: of what any of them has put in front, all is still good."""
    path = tmp_path / "secret"
    file = SecretFile(path)
    at_once(8, lambda: SecretFile(path).rotate(0, lambda: 100))
    assert (9, 9) == (len(file.secrets()), len({secret.value for secret in file.secrets()}))


def test_reading_while_it_rotates(tmp_path: Path) -> None:
    """At no moment are there none, or are the ones that signed before unknown."""
    file = SecretFile(tmp_path / "secret")
    address = parts(Signer(file.secrets).sign(KEY, EXPIRES))
    running, done = Signer(SecretFile(tmp_path / "secret").secrets), threading.Event()
    good: set[bool] = set()

    def read() -> None:
        while not done.is_set():
            good.add(running.verify(*address, now=0))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        file.rotate(0, lambda: EXPIRES)
    done.set()
    reader.join()
    assert {True} == good


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"half of a li")])
def test_a_file_that_goes_bad_while_it_is_used(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A service that runs goes on with what it knew; the next start says what is wrong."""
    file = SecretFile(tmp_path / "secret")
    address = parts(Signer(file.secrets).sign(KEY, EXPIRES))
    damage(tmp_path / "secret")
    assert Signer(file.secrets).verify(*address, now=0)

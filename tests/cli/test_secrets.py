"""`openkontext secret`."""

import re
import stat
import time
from pathlib import Path

import pytest

from openkontext.media.signing import SecretFile
from openkontext.store import Account, Store
from tests.cli.conftest import Run

DAY = 86400.0


def ends(data: Path) -> list[float]:
    """Until when each of the secrets but the newest is good."""
    return [secret.until for secret in SecretFile(data / "secret").secrets()[1:]]


def upload(store: Store, account: Account, seconds: float) -> float:
    """When an upload ends, made so that it does in about as many seconds."""
    store.settings = type(store.settings)(upload_seconds=seconds)
    return store.add_upload(account.id, "0" * 64, "uploads/x/0.png", 1).expires_at


def test_old_addresses_are_good_until_the_last_ends(run: Run, data: Path, store: Store, ann: Account):
    """The old secret is kept as long as anything that it signed, and no longer."""
    last = upload(store, ann, 3 * DAY)
    first = SecretFile(data / "secret").secrets()
    done = run("secret", "rotate")
    assert (0, "") == (done.exit_code, done.stdout)
    shown = (
        r"made a new secret; addresses signed before are good until they expire, the last at \d{4}-\d\d-\d\d [\d:]{8}\n"
    )
    assert re.fullmatch(shown, done.stderr)
    assert first[0].value == SecretFile(data / "secret").secrets()[1].value
    assert [pytest.approx(last, abs=1)] == ends(data)
    assert 0o600 == stat.S_IMODE((data / "secret").stat().st_mode)


def test_results_count_too(run: Run, data: Path, store: Store, ann: Account):
    """A pinned result's address is for years, and so is the secret that signed it."""
    key, _ = store.create_key(ann.id, rpm=None)
    job = store.submit(key, {"output_format": "png"}, {"kind": "url"}, price=1, weight=1, steps=1).job
    claim = store.claim("worker")
    assert claim is not None
    store.finish(claim, {"output": {"key": f"outputs/{job.id}/1.png"}, "metrics": {}})
    pinned = store.pin(job.id, ann.id)
    assert pinned is not None
    run("secret", "rotate")
    assert [pytest.approx(pinned.expires_at, abs=1)] == ends(data)
    store.erase(job.id, ann.id)
    assert store.last_expiry() is None


def test_nothing_to_keep_it_for(run: Run, data: Path):
    """Where there is neither result nor upload, the old secret is gone at once."""
    assert "made a new secret; addresses signed before are good no more\n" == run("secret", "rotate").stderr
    assert [] == ends(data)


@pytest.mark.parametrize(("keep", "expected"), [("none", []), ("2h", [7200]), ("30d", [3 * DAY])])
def test_a_secret_that_got_out(run: Run, data: Path, store: Store, ann: Account, keep: str, expected: list[float]):
    """Addresses end earlier where that is asked for, never later than they would."""
    upload(store, ann, 3 * DAY)
    SecretFile(data / "secret")
    began = time.time()
    assert 0 == run("secret", "rotate", "--keep", keep).exit_code
    assert [pytest.approx(began + seconds, abs=60) for seconds in expected] == ends(data)


def test_what_cannot_be(run: Run, data: Path, tmp_path: Path):
    """One line says what is wrong, and nothing is changed."""
    before = SecretFile(data / "secret").secrets()
    refused = run("secret", "rotate", "--keep", "soon")
    assert (2, before) == (refused.exit_code, SecretFile(data / "secret").secrets())
    missing = run("secret", "rotate", "--data", tmp_path / "none")
    assert (1, f"error: there is no data folder {tmp_path / 'none'}: name the service's with --data\n") == (
        missing.exit_code,
        missing.stderr,
    )
    (data / "secret").write_bytes(b"half of a line")
    damaged = run("secret", "rotate")
    assert (1, True) == (damaged.exit_code, "is no file of secrets: delete it" in damaged.stderr)

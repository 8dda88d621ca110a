"""Pictures that accounts have uploaded."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from openkontext.store import Account, Store, Upload

DIGEST = "d" * 64
DAY = 86_400


@pytest.fixture
def upload(store: Store, account: Account) -> Upload:
    return store.add_upload(account.id, DIGEST, "uploads/1", 100)


def test_upload_is_found_by_its_content(store: Store, account: Account, upload: Upload, clock):
    """What was added is there for a day."""
    assert upload == Upload(DIGEST, "uploads/1", 100, clock.now + DAY)
    assert store.upload(account.id, DIGEST) == upload
    assert store.upload(account.id, "e" * 64) is None


def test_upload_is_the_accounts_own(store: Store, upload: Upload):
    """The same picture from another account is another upload, with a blob of its own."""
    stranger = store.create_account("stranger")
    assert store.upload(stranger.id, DIGEST) is None
    assert store.add_upload(stranger.id, DIGEST, "uploads/2", 100).blob == "uploads/2"
    assert store.expire() == []


def test_use_keeps_it(store: Store, account: Account, upload: Upload, clock):
    """Each use counts its day anew; without one it is gone, even before anything came by to expire it."""
    clock.advance(DAY - 1)
    assert store.upload(account.id, DIGEST).expires_at == clock.now + DAY
    clock.advance(DAY - 1)
    assert store.expire() == []
    clock.advance(1)
    assert store.upload(account.id, DIGEST) is None


def test_expired_upload_leaves_its_blob_to_delete(store: Store, account: Account, upload: Upload, clock, tables):
    """Row and file go together."""
    clock.advance(DAY)
    assert store.expire() == ["uploads/1"]
    assert tables("uploads") == []
    store.forget_blobs(["uploads/1"])
    assert store.expire() == []


def test_second_copy_is_not_kept(store: Store, account: Account, upload: Upload, clock):
    """The same content again is the first upload, for another day; the copy's blob is to be deleted."""
    clock.advance(10)
    again = store.add_upload(account.id, DIGEST, "uploads/2", 100)
    assert again == Upload(DIGEST, "uploads/1", 100, clock.now + DAY)
    assert store.expire() == ["uploads/2"]


def test_expired_upload_that_is_still_there_is_used_again(store: Store, account: Account, upload: Upload, clock):
    """Its blob goes only with its row."""
    clock.advance(DAY + 1)
    assert store.add_upload(account.id, DIGEST, "uploads/2", 100).blob == "uploads/1"
    assert store.expire() == ["uploads/2"]


def test_threads_with_one_picture_keep_one_blob(store: Store, account: Account):
    """Whoever is first, all get the same, and the others' copies are to be deleted."""
    blobs = {f"uploads/{number}" for number in range(8)}
    with ThreadPoolExecutor(4) as threads:
        uploads = list(threads.map(lambda blob: store.add_upload(account.id, DIGEST, blob, 100), blobs))
    [kept] = {upload.blob for upload in uploads}
    assert set(store.expire()) == blobs - {kept}

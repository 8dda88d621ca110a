"""A database that can't be used is said in one clear error."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openkontext.store import Store, StoreUnavailable


def test_missing_folder(tmp_path: Path):
    """A folder that isn't there is named."""
    with pytest.raises(StoreUnavailable, match="unable to open database file") as refused:
        Store.open(tmp_path / "missing" / "store.db")
    assert str(tmp_path) in refused.value.url


def test_folder_that_is_a_file(tmp_path: Path):
    """So is one that can't be a folder."""
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreUnavailable, match="unable to open"):
        Store.open(tmp_path / "file" / "store.db")


def test_file_that_is_no_database(tmp_path: Path):
    """Another program's file is left as it is."""
    path = tmp_path / "store.db"
    path.write_text("something else, and long enough to be looked at" * 100)
    with pytest.raises(StoreUnavailable, match="file is not a database"):
        Store.open(path)
    assert path.read_text().startswith("something else")


def test_read_only_file(database: Path):
    """Reading still works where writing doesn't."""
    store = Store.open(f"sqlite:///file:{database}?mode=ro&uri=true")
    assert store.workers() == []
    with pytest.raises(StoreUnavailable, match="readonly"):
        store.create_account("local")
    store.close()


@pytest.fixture
def locked(database: Path, store: Store) -> Iterator[None]:
    """Another program holds the write lock and doesn't let go."""
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    yield
    holder.close()


def test_writes_give_up_on_a_locked_database(open_store: Callable[..., Store], locked: None):
    """A write waits for its time, then says why it gave up."""
    with pytest.raises(StoreUnavailable, match="locked"):
        open_store(busy_timeout_seconds=0.05).create_account("local")


def test_reads_go_on_beside_a_writer(store: Store, locked: None):
    """Reads take no lock, so they need not wait for one; nor does a claim or reaping that finds nothing to do."""
    assert (store.queue_depth(), store.workers(), store.account("x")) == (0, [], None)
    assert (store.claim("w"), store.reap(), store.expire()) == (None, [], [])
    assert store.authenticate("SG_0") is None


def test_database_without_schema(tmp_path: Path):
    """A store that was not migrated says what is missing, whichever way it is asked."""
    store = Store.open(tmp_path / "new.db")
    for ask in (store.workers, lambda: store.authenticate("SG_0"), lambda: store.job("id", 1)):
        with pytest.raises(StoreUnavailable, match="no such table"):
            ask()
    store.close()

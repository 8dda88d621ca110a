"""The schema and its history."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from openkontext.store import Store, StoreSettings, StoreUnavailable
from openkontext.store.migrations import HEAD
from openkontext.store.schema import metadata


def test_revisions_make_the_schema(database: Path):
    """What the revisions build is what the code expects: columns, types, and indexes with their conditions."""
    migrated, expected = sa.create_engine(f"sqlite:///{database}"), sa.create_engine("sqlite://")
    metadata.create_all(expected)
    with migrated.connect() as connection, expected.connect() as other:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert indexes(connection) == indexes(other)
    migrated.dispose()
    expected.dispose()


def indexes(connection: sa.Connection) -> list[str]:
    rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql > '' ORDER BY name")
    return list(rows.scalars())


def test_head_is_the_newest_revision():
    """The version that a start compares with, without Alembic, is the one that Alembic would go to."""
    config = Config()
    config.set_main_option("script_location", "openkontext.store:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_data_survives_a_second_start(store: Store, database: Path):
    """Migrating what is up to date changes nothing."""
    account = store.create_account("local")
    store.migrate()
    again = Store.open(database)
    again.migrate()
    assert again.account("local") == account
    again.close()


def test_up_to_date_start_does_without_alembic(database: Path):
    """A start with an up-to-date schema doesn't pay for the import."""
    code = (
        "import sys; from openkontext.store import Store\n"
        "store = Store.open(sys.argv[1]); store.migrate(); print('alembic' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(database)], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"


def test_processes_may_start_together(start_actor, tmp_path: Path):
    """Two processes that find no database make one, and both can use it."""
    actors = [start_actor("migrate", path=tmp_path / "new.db") for _ in range(2)]
    for actor in actors:
        actor.stdin.write("go\n")
        actor.stdin.flush()
    assert [actor.communicate(timeout=60)[0] for actor in actors] == ["[]\n"] * 2
    assert [actor.returncode for actor in actors] == [0] * 2


@pytest.fixture
def other(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that is about to write to a database without a write-ahead log: SQLite refuses one at once."""
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def test_a_new_database_that_another_writes_to_is_waited_for(other: sqlite3.Connection, tmp_path, monkeypatch):
    """As when two processes make it together, and one is a moment ahead."""
    monkeypatch.setattr("openkontext.store.database.time.sleep", lambda _: other.execute("COMMIT"))
    store = Store.open(tmp_path / "new.db")
    store.migrate()
    assert store.workers() == []
    assert not other.in_transaction
    store.close()


def test_a_new_database_that_another_keeps_is_unavailable(other: sqlite3.Connection, tmp_path):
    """After as long as a write would be waited for."""
    with pytest.raises(StoreUnavailable, match="database is locked"):
        Store.open(tmp_path / "new.db", settings=StoreSettings(busy_timeout_seconds=0.05))
    assert other.in_transaction


def test_embedded_database_is_durable(database: Path):
    """Write-ahead log, a sync at every commit, foreign keys on: on every connection of the pool."""
    store = Store.open(database)
    with store._transaction() as one, store._read() as other:
        for connection in (one, other):
            pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            values = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in pragmas]
            assert values == ["wal", 2, 1, 10_000]
    store.close()

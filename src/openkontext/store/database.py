"""The way to the database: connections, transactions, the clock, and what is the same for every part of the store.

Reads take no lock. A write is one transaction, ``BEGIN IMMEDIATE`` on SQLite, so that what it read still holds when it
writes; on PostgreSQL its first statement locks the rows that it is about to change.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, ProgrammingError

from . import migrate
from .errors import StoreUnavailable
from .records import StoreSettings
from .turn import Turn, TurnRefused

Clock = Callable[[], float]
Row = sa.Row[*tuple[Any, ...]]

_DATABASE_CLOCK = sa.text("SELECT extract(epoch FROM clock_timestamp())::double precision")


class Database:
    """An open database. Safe for threads; every process opens its own."""

    def __init__(self, url: sa.URL, clock: Clock, settings: StoreSettings) -> None:
        self.settings = settings
        self.clock = clock
        self._url = url.render_as_string(hide_password=True)
        self._embedded = url.get_backend_name() == "sqlite"
        self._engine = _embedded(url, settings) if self._embedded else sa.create_engine(url, hide_parameters=True)
        self._reader = self._engine if self._embedded else self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._turn = Turn()

    @classmethod
    def open(cls, url_or_path: str | Path, *, clock: Clock = time.time, settings: StoreSettings | None = None) -> Self:
        """The database at a SQLAlchemy URL, or in a SQLite file whose folder exists; ``clock`` serves SQLite alone.

        Raises StoreUnavailable if it can't be opened. Call `migrate` once before anything else.
        """
        text = str(url_or_path)
        url = sa.make_url(text) if "://" in text else sa.URL.create("sqlite", database=str(Path(text).absolute()))
        database = cls(url, clock, settings or StoreSettings())
        with database._read():
            return database

    def migrate(self) -> None:
        """Bring the schema up to date: at once if it is, and safely if several processes do it together."""
        with self._read() as connection:
            behind = migrate.behind(connection)
        if behind:
            with self._transaction() as connection:
                migrate.upgrade(connection)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()

    def _now(self, connection: sa.Connection) -> float:
        """The one time of a transaction: by the database's clock where several machines share it."""
        return self.clock() if self._embedded else float(connection.execute(_DATABASE_CLOCK).scalar_one())

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        """A connection for single SELECTs, each of which sees all that was committed before it."""
        with self._clear_errors(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def _snapshot(self) -> Iterator[sa.Connection]:
        """A connection for several SELECTs, all of which see the database as it was at the first."""
        engine = self._engine if self._embedded else self._engine.execution_options(isolation_level="REPEATABLE READ")
        with self._clear_errors(), engine.connect() as connection:
            if self._embedded:
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """A write: committed, and on disk, when the block is left; undone if it raises."""
        with self._clear_errors(), self._my_turn() as seconds, self._engine.connect() as connection:
            if self._embedded:
                # What the turn took is off the time that another process's write is waited for.
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(1000 * seconds)}")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    @contextmanager
    def _my_turn(self) -> Iterator[float]:
        timeout = self.settings.busy_timeout_seconds
        if not self._embedded:
            yield timeout
            return
        try:
            with self._turn.taken(timeout) as seconds:
                yield seconds
        except TurnRefused:
            raise StoreUnavailable(self._url, "other writes of this process have not ended in time") from None

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, ProgrammingError, DataError):
            raise
        except DatabaseError as error:
            raise StoreUnavailable(self._url, str(error.orig)) from error
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise StoreUnavailable(self._url, str(error)) from error


def _embedded(url: sa.URL, settings: StoreSettings) -> sa.Engine:
    # Without an isolation level the driver never begins a transaction by itself: BEGIN is written where it belongs.
    arguments = {"isolation_level": None, "timeout": settings.busy_timeout_seconds, "check_same_thread": False}
    engine = sa.create_engine(
        url,
        connect_args=arguments,
        # Errors are logged, and what was written may be a secret.
        hide_parameters=True,
        poolclass=sa.QueuePool,
        pool_size=16,
        max_overflow=-1,
        pool_use_lifo=True,
    )
    sa.event.listen(engine, "connect", partial(_configure, settings.busy_timeout_seconds))
    return engine


def _configure(patience: float, connection: DBAPIConnection, _record: Any) -> None:
    cursor = connection.cursor()
    _write_ahead(cursor, patience)
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _write_ahead(cursor: DBAPICursor, patience: float) -> None:
    """Use a write-ahead log; of processes that make a new database together, all but one are refused at first."""
    deadline = time.monotonic() + patience
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # SQLite doesn't wait here by itself if another connection is about to write.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)

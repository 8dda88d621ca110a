"""A store of its own for each test, on a clock that only the test moves."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openkontext.store import Account, Key, Store, StoreSettings, Submitted

PRICE = 40_000


class Clock:
    """Time stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    store = Store.open(path)
    store.migrate()
    store.close()
    return path


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Path:
    """The file of the test's store."""
    return Path(shutil.copy(migrated, tmp_path / "openkontext.db"))


@pytest.fixture
def open_store(database: Path, clock: Clock) -> Iterator[Callable[..., Store]]:
    """Opens the test's database with settings of the test's choice, as often as it likes."""
    opened: list[Store] = []

    def open_with(**settings: Any) -> Store:
        opened.append(Store.open(database, clock=clock, settings=StoreSettings(**settings)))
        return opened[-1]

    yield open_with
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()


@pytest.fixture
def account(store: Store) -> Account:
    """An account with 10 credits."""
    account = store.create_account("someone")
    store.add_credits(account.id, 10_000_000)
    return account


@pytest.fixture
def key(store: Store, account: Account) -> Key:
    """An unlimited key of the account."""
    return store.create_key(account.id, rpm=None)[0]


@pytest.fixture
def submit(store: Store, key: Key) -> Callable[..., Submitted]:
    """Submits a job like any other."""

    def submit(by: Key = key, to: Store = store, **changes: Any) -> Submitted:
        values = {"price": PRICE, "weight": 1.0, "steps": 35} | changes
        parameters = values.pop("parameters", {"prompt": "make it snow", "output_format": "png"})
        source = values.pop("input", {"kind": "url", "url": "https://example.com/a.png"})
        return to.submit(by, parameters, source, **values)

    return submit


@pytest.fixture
def tables(database: Path) -> Callable[[str], list[dict[str, Any]]]:
    """All rows of a table, as they lie in the file."""

    def rows(table: str) -> list[dict[str, Any]]:
        connection = sqlite3.connect(database)
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
        connection.close()
        return found

    return rows


@pytest.fixture
def act() -> Callable[[list["subprocess.Popen[str]"]], list[list[str]]]:
    """Lets actors act, all at once; returns the lines that each printed."""

    def go(actors: list["subprocess.Popen[str]"]) -> list[list[str]]:
        for actor in actors:
            assert actor.stdin is not None
            actor.stdin.write("go\n")
            actor.stdin.flush()
        return [actor.communicate(timeout=60)[0].splitlines() for actor in actors]

    return go


@pytest.fixture
def start_actor(database: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts a process of `actors.py` on the test's database; it is ready when this returns, and acts on a line."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, path: Path = database) -> "subprocess.Popen[str]":
        command = [sys.executable, str(Path(__file__).with_name("actors.py")), arguments[0], str(path), *arguments[1:]]
        actor = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(actor)
        assert actor.stdout is not None
        assert actor.stdout.readline() == "ready\n"
        return actor

    yield start
    for actor in started:
        actor.kill()
        actor.communicate()

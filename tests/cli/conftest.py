"""Commands run in this process, on a data folder of the test's own."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog
from typer.main import get_command

from openkontext.cli import app
from openkontext.store import Account, Store

# Made once, since that takes longer than most commands.
COMMAND = get_command(app)


class Done(NamedTuple):
    """What came of a command."""

    exit_code: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "openkontext.db"
    store = Store.open(path)
    store.migrate()
    store.close()
    return path


@pytest.fixture
def data(migrated: Path, tmp_path: Path) -> Path:
    """The data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(migrated, folder / "openkontext.db")
    return folder


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    """The store that the commands work on, opened beside them as a running service has it."""
    store = Store.open(data / "openkontext.db")
    yield store
    store.close()


@pytest.fixture
def ann(store: Store) -> Account:
    """An account with 10 credits."""
    account = store.create_account("ann")
    store.add_credits(account.id, 10_000_000)
    return account


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs a command where `data` is the data folder of the settings."""
    monkeypatch.chdir(tmp_path)
    # What a wide terminal shows, so that no line is wrapped.
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> Done:
        with pytest.raises(SystemExit) as end:
            COMMAND.main([str(word) for word in words], prog_name="openkontext")
        assert isinstance(end.value.code, int)
        return Done(end.value.code, *capsys.readouterr())

    yield run
    # Logging was set to the test's streams, which are closed.
    structlog.reset_defaults()

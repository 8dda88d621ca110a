"""The first start cut short: the next one finishes what it began."""

from pathlib import Path

import pytest

from openkontext.parts import CannotStart, open_store
from openkontext.service import local_key
from openkontext.settings import Settings
from tests.chaos.edits import CREDITS


def test_account_without_credits_gets_them_once(tmp_path: Path):
    """Killed between making the account and granting its credits, or before the key was on disk."""
    settings = Settings(data=tmp_path)
    store = open_store(settings)
    account = store.create_account("local")
    first = local_key(store, settings)
    assert CREDITS == store.balance(account.id)
    assert first == local_key(store, settings)
    (tmp_path / "api-key").unlink()
    assert first != local_key(store, settings)
    assert CREDITS == store.balance(account.id)
    store.close()


def test_database_is_for_its_owner_alone(tmp_path: Path):
    """In a folder that others may look into: prompts and the secrets of webhooks are in it, and in its journals."""
    tmp_path.chmod(0o755)
    store = open_store(Settings(data=tmp_path))
    store.create_account("local")
    assert {0o600} == {path.stat().st_mode & 0o777 for path in tmp_path.glob("openkontext.db*")}
    store.close()


def test_key_file_in_the_way_is_one_clear_line(tmp_path: Path):
    """A folder where the key should be."""
    settings = Settings(data=tmp_path)
    store = open_store(settings)
    (tmp_path / "api-key").mkdir()
    with pytest.raises(CannotStart, match=r"can't use the file .*api-key: is a directory"):
        local_key(store, settings)
    store.close()

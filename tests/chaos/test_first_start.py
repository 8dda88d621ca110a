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


def test_key_file_in_the_way_is_one_clear_line(tmp_path: Path):
    """A folder where the key should be."""
    settings = Settings(data=tmp_path)
    store = open_store(settings)
    (tmp_path / "api-key").mkdir()
    with pytest.raises(CannotStart, match=r"can't use the file .*api-key: is a directory"):
        local_key(store, settings)
    store.close()

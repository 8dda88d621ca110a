"""An internet on the loopback."""

import pytest

from openkontext.media import outward
from openkontext.media.addresses import is_public
from tests.media.strangers import PUBLIC


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """`PUBLIC` counts as public and as another machine's: no test may ask a real stranger. All else is as ever."""
    monkeypatch.setattr(outward, "is_public", lambda address: address == PUBLIC or is_public(address))
    monkeypatch.setattr(outward, "is_ours", lambda address: False)

"""An internet on the loopback, and an authority to sign with."""

from pathlib import Path

import pytest
from cryptography import x509

from openkontext.media import authority, outward
from openkontext.media.addresses import is_public
from openkontext.media.notary import Notary
from tests.media.strangers import PUBLIC


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """`PUBLIC` counts as public and as another machine's: no test may ask a real stranger. All else is as ever."""
    monkeypatch.setattr(outward, "is_public", lambda address: address == PUBLIC or is_public(address))
    monkeypatch.setattr(outward, "is_ours", lambda address: False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority."""
    folder = tmp_path_factory.mktemp("c2pa")
    Notary.open(folder, "", "")
    return folder


@pytest.fixture(scope="module")
def notary(folder: Path) -> Notary:
    """A notary of that authority."""
    return Notary.open(folder, "", "")


@pytest.fixture(scope="module")
def anchors(folder: Path) -> list[x509.Certificate]:
    """That authority's certificate."""
    return authority.read_certificates(folder / "authority.pem")

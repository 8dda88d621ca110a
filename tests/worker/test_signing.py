"""Every output is signed, and one that can't be is not given out."""

from pathlib import Path

import pytest

from openkontext.contract import State
from openkontext.media import credentials
from openkontext.media.blobs import Blobs
from openkontext.media.images import CONTENT_TYPES
from openkontext.media.notary import CannotSign, Notary
from openkontext.store import Store
from openkontext.worker import main
from openkontext.worker.link import EXIT_MISCONFIGURED
from tests.worker.conftest import PRICE


@pytest.mark.parametrize("form", CONTENT_TYPES)
def test_an_output_is_signed(submit, run, blobs: Blobs, form: str):
    """Its manifest holds, and has the receipt."""
    _, body = run(submit(output_format=form))
    signed = credentials.read(blobs.get(body["output"]["key"]), [])
    assert signed is not None
    assert [] == list(signed.problems)
    assert body["receipt"] == signed.receipt


class Unable(Notary):
    """Its certificate has run out."""

    def __init__(self) -> None:
        """Without one."""

    def sign(self, *_: object) -> bytes:
        raise CannotSign("the certificate has run out: c2pa.pem")


def test_what_can_not_be_signed_is_not_given_out(submit, run, store: Store, blobs: Blobs):
    """After three attempts it is the server's fault, free, and the reason is the operator's alone."""
    job, body = run(submit(), notary=Unable())
    assert (State.FAILED, "internal", 3) == (job.state, body["code"], job.attempt)
    assert "c2pa.pem" not in body["error"]
    assert not any(blobs.exists(f"outputs/{job.id}/{attempt}.png") for attempt in (1, 2, 3))
    assert 100 * PRICE == store.balance(job.account_id)


def test_a_worker_without_its_certificate_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """One line says what is missing, before the model is loaded."""
    with pytest.raises(SystemExit) as caught:
        main.run(main.Settings(data=tmp_path / "data", model="/nowhere", c2pa_certificate=str(tmp_path / "c2pa.pem")))
    assert EXIT_MISCONFIGURED == caught.value.code
    assert "error: c2pa_certificate is set and c2pa_key isn't" in capsys.readouterr().err

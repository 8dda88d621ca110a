"""Signs outputs: a C2PA manifest in each file says who made it, how, and that nothing in it was changed since."""

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import c2pa
from PIL import Image

from . import authority, credentials
from .authority import CannotSign, Identity
from .credentials import OFFLINE, RECEIPT_LABEL
from .images import CONTENT_TYPES, encode
from .xmp import DIGITAL_SOURCE_TYPE

__all__ = ["CannotSign", "Notary"]

# Bytes of the prompt in the manifest, which stays below 5 KB so; the whole prompt is in the receipt beside it, which
# the manifest's hash of the file covers.
_PROMPT_BYTES: Final = 400

_UNFIT: Final = (
    "the certificate isn't one for signing: it needs the key usage digitalSignature and one of the extended key usages "
    "emailProtection, documentSigning and C2PA's claimSigning, 1.3.6.1.4.1.62558.2.1"
)
_SETTINGS: Final[dict[str, Any]] = OFFLINE | {
    "verify": {**OFFLINE["verify"], "verify_after_sign": False, "verify_after_reading": False},
    "builder": {
        "thumbnail": {"enabled": False},
        "actions": {f"auto_{name}_action": {"enabled": False} for name in ("created", "opened", "placed")},
    },
}


def _now() -> datetime:
    return datetime.now(UTC)


class Notary:
    """Signs with the operator's certificate, or one of a local authority. For one thread."""

    def __init__(self, identify: Callable[[datetime], Identity], clock: Callable[[], datetime]) -> None:
        self._identify, self._clock = identify, clock
        self._take_up()

    @classmethod
    def open(cls, folder: Path, certificate: str, key: str, *, clock: Callable[[], datetime] = _now) -> Self:
        """The notary of these PEM files: the certificates, the signer's first, and the signer's private key.

        If neither is given, of an authority that is made in ``folder`` at the first call. Raises `CannotSign` for
        files that can't be read, don't belong together, have run out, or aren't what C2PA asks for.
        """
        if bool(certificate) != bool(key):
            missing, there = ("c2pa_key", "c2pa_certificate") if certificate else ("c2pa_certificate", "c2pa_key")
            raise CannotSign(f"{there} is set and {missing} isn't: set both, or neither")
        if certificate:
            return cls(partial(authority.given, Path(certificate), Path(key)), clock)
        return cls(partial(authority.local, folder), clock)

    def sign(self, data: bytes, format: str, receipt: Mapping[str, Any]) -> bytes:
        """``data``, a picture's file in ``format`` (png, jpg, webp), with a manifest that says ``receipt``, signed.

        The pixels and all other metadata stay as they are. Raises `CannotSign`: then there is no file to give out.
        """
        if not self._identity.serves(self._clock()):
            self._take_up()
        return _sign(self._context, data, format, receipt)

    def _take_up(self) -> None:
        """Take the certificate that is to be used now, and see that what it signs is valid."""
        identity = self._identify(self._clock())
        context = _context(identity)
        _try_out(context)
        self._identity, self._context = identity, context


def _context(identity: Identity) -> c2pa.Context:
    # No authority of timestamps: that is a remote call for every picture.
    info = c2pa.C2paSignerInfo(b"es256", identity.certificates, identity.key, None)
    try:
        return c2pa.Context.from_dict(_SETTINGS, signer=c2pa.Signer.from_info(info))
    except c2pa.C2paError as error:
        raise CannotSign(f"the certificate can't be used: {error}") from None


def _try_out(context: c2pa.Context) -> None:
    """Raise `CannotSign` if readers don't take what ``context`` signs: its certificate is for something else."""
    picture = encode(Image.new("RGB", (1, 1)), "png", 0)
    try:
        signed = credentials.read(_sign(context, picture, "png", {"openkontext": "0"}), [])
    except (CannotSign, credentials.Unreadable) as error:
        raise CannotSign(f"{_UNFIT} ({error})") from None
    if signed is None or signed.problems:
        raise CannotSign(f"{_UNFIT} ({'; '.join(signed.problems) if signed else 'nothing was signed'})")


def _sign(context: c2pa.Context, data: bytes, format: str, receipt: Mapping[str, Any]) -> bytes:
    signed = io.BytesIO()
    try:
        with c2pa.Builder(_manifest(receipt), context) as builder:
            builder.sign(CONTENT_TYPES[format], io.BytesIO(data), signed)
    except c2pa.C2paError as error:
        raise CannotSign(f"the picture couldn't be signed: {error}") from error
    return signed.getvalue()


def _manifest(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """What is claimed: a given picture was opened and edited by a trained model, as the receipt says."""
    generator = {"name": "openkontext", "version": receipt["openkontext"]}
    actions = [
        {"action": "c2pa.opened", "parameters": {"ingredientIds": ["input"]}},
        {"action": "c2pa.edited", "digitalSourceType": DIGITAL_SOURCE_TYPE},
    ]
    return {
        "claim_generator_info": [generator],
        "ingredients": [{"label": "input", "title": "input", "relationship": "parentOf"}],
        "assertions": [
            {"label": "c2pa.actions.v2", "created": True, "data": {"actions": actions}},
            {"label": RECEIPT_LABEL, "created": True, "data": _shortened(receipt)},
        ],
    }


def _shortened(receipt: Mapping[str, Any]) -> dict[str, Any]:
    prompt = receipt.get("prompt", "").encode()
    if len(prompt) <= _PROMPT_BYTES:
        return dict(receipt)
    return {**receipt, "prompt": prompt[:_PROMPT_BYTES].decode(errors="ignore"), "prompt_cut": True}

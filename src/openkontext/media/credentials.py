"""The C2PA manifest in a picture's file: what it claims, and what is wrong with it. The file may be anybody's."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

RECEIPT_LABEL: Final = "org.openkontext.receipt"
# Nothing is fetched, whatever a file asks for, and what it unpacks to is bounded.
OFFLINE: Final[dict[str, Any]] = {
    "version": 1,
    "verify": {"ocsp_fetch": False, "remote_manifest_fetch": False},
    "core": {
        "allowed_network_hosts": [],
        "decode_identity_assertions": False,
        "max_decompressed_manifest_size_in_mb": 32,
    },
}
# For what a signer's certificate may be meant: C2PA claims, e-mail and documents.
_PURPOSES: Final = "1.3.6.1.4.1.62558.2.1\n1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n1.3.6.1.4.1.311.76.59.1.9\n"
# The signer is valid but unknown, or was valid once: that says nothing against the file.
_UNTRUSTED: Final = "signingCredential.untrusted"
_EXPIRED: Final = "signingCredential.expired"
_NO_FAULTS: Final = frozenset({_UNTRUSTED, _EXPIRED})

# In plainer words than the validation's own.
_WORDS: Final = {
    "assertion.dataHash.mismatch": "the file was changed after it was signed",
    "assertion.hashedURI.mismatch": "what the manifest says was changed after it was signed",
    "claimSignature.mismatch": "the manifest isn't what its signer signed",
}


class Unreadable(Exception):
    """There is a manifest, and it can't be read; the message says why."""


@dataclass(frozen=True)
class Credentials:
    """A manifest: its claims, and how it was found.

    ``signer`` and ``authority`` are names from the signer's certificate, ``valid`` its dates. ``problems`` says what is
    wrong, and is empty where signature and hashes are right. No expired certificate is ``trusted``. All text is as the
    file has it.
    """

    generator: str
    source_types: tuple[str, ...]
    receipt: Mapping[str, Any] | None
    signer: str
    authority: str
    valid: tuple[str, str]
    problems: tuple[str, ...]
    trusted: bool
    expired: bool


def read(data: bytes, anchors: Sequence[x509.Certificate]) -> Credentials | None:
    """The active manifest in ``data``, a picture's file; None if there is none. No network is used.

    ``anchors`` are the authorities that are trusted. Raises `Unreadable`.
    """
    pem = b"".join(anchor.public_bytes(Encoding.PEM) for anchor in anchors).decode()
    trust = {"trust_anchors": pem, "trust_config": _PURPOSES} if anchors else {"trust_config": _PURPOSES}
    try:
        with (
            c2pa.Context.from_dict(OFFLINE | {"trust": trust}) as context,
            c2pa.Reader(io.BytesIO(data), context=context) as reader,
        ):
            return _credentials(json.loads(reader.json()), json.loads(reader.crjson()))
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        raise Unreadable(str(error)) from None
    except (LookupError, TypeError, AttributeError, ValueError, StopIteration, RecursionError) as error:
        # Parts are missing or of other types than C2PA says: the library passes on what it finds.
        raise Unreadable(f"it isn't made as C2PA says ({type(error).__name__})") from None


def _credentials(store: dict[str, Any], described: dict[str, Any]) -> Credentials:
    """What c2pa's two descriptions of a file say: only the second has the names and dates of the certificate."""
    label = store["active_manifest"]
    manifest = store["manifests"][label]
    signer = next(each["signature"]["certificateInfo"] for each in described["manifests"] if each["label"] == label)
    failures = {each["code"]: each for each in _failures(store["validation_results"])}
    codes = failures.keys()
    return Credentials(
        generator=_generator(manifest),
        source_types=tuple(_source_types(manifest)),
        receipt=_receipt(manifest),
        signer=_name(signer["subject"]),
        authority=_name(signer["issuer"]),
        valid=(signer["validity"]["notBefore"][:10], signer["validity"]["notAfter"][:10]),
        problems=tuple(
            _WORDS.get(code, each["explanation"]) for code, each in failures.items() if code not in _NO_FAULTS
        ),
        trusted=_UNTRUSTED not in codes,
        expired=_EXPIRED in codes,
    )


def _failures(results: dict[str, Any]) -> Iterable[dict[str, str]]:
    yield from results["activeManifest"]["failure"]
    for delta in results.get("ingredientDeltas", ()):
        yield from delta["validationDeltas"]["failure"]


def _generator(manifest: dict[str, Any]) -> str:
    info = (manifest.get("claim_generator_info") or [{}])[0]
    words = (info.get("name") or manifest.get("claim_generator"), info.get("version"))
    return " ".join(str(word) for word in words if word)


def _receipt(manifest: dict[str, Any]) -> dict[str, Any] | None:
    said = next((each["data"] for each in manifest["assertions"] if each["label"] == RECEIPT_LABEL), None)
    return said if isinstance(said, dict) else None


def _source_types(manifest: dict[str, Any]) -> Iterable[str]:
    for assertion in manifest["assertions"]:
        if assertion["label"].startswith("c2pa.actions"):
            for action in assertion["data"]["actions"]:
                if "digitalSourceType" in action:
                    yield str(action["digitalSourceType"])


def _name(parts: dict[str, Any]) -> str:
    return " / ".join(str(parts[part]) for part in ("O", "CN") if part in parts)

"""Certificates that outputs are signed with: the operator's, or those of an authority of our own, made at first use.

The profile is the C2PA specification's, "X.509 certificates": version 3, ECDSA P-256, a signer that isn't its own
authority, with the key usage digitalSignature. Of the extended key usages, claimSigning is that specification's own and
emailProtection the one that older validators look for.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from . import durable

CERTIFICATE: Final = "authority.pem"
_KEY, _SIGNER = "authority.key", "signer.pem"

_CLAIM_SIGNING: Final = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
_AUTHORITY_DAYS: Final = 7_300
# Nothing says when a file was signed but its signer, so that it can be verified for as long as the signer's certificate
# lasts: each one is used for a year and lasts four years longer.
_SIGNER_DAYS, _USE_DAYS = 1_825, 365
# Clocks of other machines may be behind.
_BACKDATED: Final = timedelta(days=1)
_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_NEW_ONE: Final = "restore it, or remove authority.pem, authority.key and signer.pem together, and new ones are made"


class CannotSign(Exception):
    """Outputs can't be signed; the message is one line that says why and what to do, without any secret."""


@dataclass(frozen=True)
class Identity:
    """Who signs: PEM of the certificates, the signer's first, and of its key; and from when to when to sign with it."""

    certificates: bytes
    key: bytes
    begins: datetime
    ends: datetime

    def serves(self, now: datetime) -> bool:
        """Whether to sign with it at ``now``."""
        return self.begins <= now < self.ends


def own_folder() -> Path:
    """Where the user's own signing keys are, for who runs no service here (XDG Base Directory Specification 0.8)."""
    home = os.environ.get("XDG_DATA_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share") / "openkontext" / "c2pa"


def given(certificate: Path, key: Path, now: datetime) -> Identity:
    """The operator's own certificates and key. Raises `CannotSign` where they can't be used at ``now``."""
    chain = read_certificates(certificate)
    signer, secret = chain[0], _key_in(_read(key), key)
    begins, ends = signer.not_valid_before_utc, signer.not_valid_after_utc
    if signer.public_key() != secret.public_key():
        raise CannotSign(f"{key} isn't the key of the first certificate in {certificate}")
    if signer.subject == signer.issuer:
        raise CannotSign(f"the certificate in {certificate} is self-signed: have it issued by an authority")
    if not all(_issued(lower, upper) for lower, upper in pairwise(chain)):
        raise CannotSign(f"the certificates in {certificate} must follow each other: the signer's, its issuer's, …")
    identity = Identity(b"".join(map(_pem, chain)), _key_pem(secret), begins, ends)
    if not identity.serves(now):
        raise CannotSign(
            f"the certificate in {certificate} is valid from {begins.date()} to {ends.date()}: have it renewed"
        )
    return identity


def local(folder: Path, now: datetime) -> Identity:
    """A signer of the authority that ``folder`` holds, both made if they are missing.

    Processes that start at once agree on one authority. A signer that is a year old, or another authority's, is
    replaced. Raises `CannotSign` for files that can't be read, made or used.
    """
    try:
        return _held_signer(folder, now) or _new_signer(folder, now)
    except OSError as error:
        raise CannotSign(f"can't keep the signing authority in {folder}: the storage {durable.reason(error)}") from None


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates in a PEM file, one at least. Raises `CannotSign`."""
    return _certificates_in(_read(path), path)


def name_of(certificate: x509.Certificate) -> str:
    """Its subject's organization and common name, as `openkontext.media.credentials` writes them."""
    parts = (
        certificate.subject.get_attributes_for_oid(oid) for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    )
    return " / ".join(str(part[0].value) for part in parts if part)


def fingerprint(certificate: x509.Certificate) -> str:
    """Its SHA-256, as tools show it: pairs of hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _held_signer(folder: Path, now: datetime) -> Identity | None:
    """The signer that is there, unless it must be made anew."""
    path, issuer = folder / _SIGNER, folder / CERTIFICATE
    if not (path.exists() and issuer.exists()):
        return None
    held = _read(path)
    certificate = _certificates_in(held, path)[0]
    identity = _identity(certificate, _key_in(held, path))
    return identity if identity.serves(now) and _issued(certificate, read_certificates(issuer)[0]) else None


def _new_signer(folder: Path, now: datetime) -> Identity:
    issuer, secret = _authority(folder, now)
    key = ec.generate_private_key(ec.SECP256R1())
    begins = now - _BACKDATED
    ends = min(begins + timedelta(days=_SIGNER_DAYS), issuer.not_valid_after_utc)
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, _CLAIM_SIGNING])
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(secret.public_key())
    certificate = (
        _unsigned("openkontext signer", issuer.subject, key, begins, ends, authority=False)
        .add_extension(purposes, critical=False)
        .add_extension(issued_by, critical=False)
        .sign(secret, hashes.SHA256())
    )
    # Of two processes that do this at once either one's signer is as good.
    durable.write(folder / _SIGNER, _pem(certificate) + _key_pem(key))
    return _identity(certificate, key)


def _identity(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Identity:
    begins = certificate.not_valid_before_utc
    ends = min(begins + timedelta(days=_USE_DAYS), certificate.not_valid_after_utc)
    return Identity(_pem(certificate), _key_pem(key), begins, ends)


def _authority(folder: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The authority's certificate and key, made where both are missing."""
    path, key_path = folder / CERTIFICATE, folder / _KEY
    if not key_path.exists() and not path.exists():
        # The key first: whichever process makes the certificate then makes it of the same one.
        durable.create(key_path, _key_pem(ec.generate_private_key(ec.SECP256R1())))
    if not key_path.exists():
        raise CannotSign(f"{key_path} is missing: {_NEW_ONE}")
    key = _key_in(_read(key_path), key_path)
    if not path.exists():
        durable.create(path, _pem(_new_authority(key, now)))
    certificate = read_certificates(path)[0]
    if certificate.public_key() != key.public_key():
        raise CannotSign(f"{key_path} isn't the key of {path}: {_NEW_ONE}")
    if certificate.not_valid_after_utc <= now:
        raise CannotSign(f"the authority in {path} ran out on {certificate.not_valid_after_utc.date()}: {_NEW_ONE}")
    return certificate, key


def _new_authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    # Tells it from the authorities of other machines, and nothing about this one.
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()
    name = f"openkontext local authority {identifier[:8]}"
    begins = now - _BACKDATED
    builder = _unsigned(name, None, key, begins, begins + timedelta(days=_AUTHORITY_DAYS), authority=True)
    return builder.sign(key, hashes.SHA256())


def _unsigned(
    name: str,
    issuer: x509.Name | None,
    key: ec.EllipticCurvePrivateKey,
    begins: datetime,
    ends: datetime,
    *,
    authority: bool,
) -> x509.CertificateBuilder:
    """What both kinds of certificate have; ``issuer`` None is the certificate itself."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "openkontext"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    usages = {"key_cert_sign", "crl_sign"} if authority else {"digital_signature"}
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(x509.KeyUsage(**{usage: usage in usages for usage in _USAGES}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotSign(f"can't read {path}: {(error.strerror or str(error)).lower()}") from None


def _certificates_in(data: bytes, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise CannotSign(f"{path} has no certificate in PEM form, or a damaged one") from None


def _key_in(data: bytes, path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except TypeError:
        raise CannotSign(f"the key in {path} has a passphrase: give it without") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CannotSign(f"{path} has no private key in PEM form, or a damaged one") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CannotSign(f"the key in {path} is of another kind: it must be ECDSA on the curve P-256")
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

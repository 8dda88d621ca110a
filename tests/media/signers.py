"""Certificates for signing, as operators have them: an authority of the test's own, and what it issues."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
USAGES = (
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


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key of the right kind."""
    return ec.generate_private_key(ec.SECP256R1())


class Issuer(NamedTuple):
    """An authority."""

    certificate: x509.Certificate
    key: Key


def certificate(
    name: str,
    key: Key,
    issuer: Issuer | None = None,
    *,
    usage: str = "digital_signature",
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    days: tuple[int, int] = (-10, 10),
    also: x509.ExtensionType | None = None,
) -> x509.Certificate:
    """A certificate for ``key``, valid between ``days`` from now; without an issuer, by itself.

    ``usage`` is the key's, ``purpose`` the extended one, ``also`` any further extension.
    """
    now = datetime.now(UTC)
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    signing = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=usage == "key_cert_sign", path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{each: each == usage for each in USAGES}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    for extension in (purpose and x509.ExtendedKeyUsage([purpose]), also):
        builder = builder.add_extension(extension, critical=False) if extension else builder
    return builder.sign(signing, hashes.SHA256())


def issuer(name: str = "Example Authority", above: Issuer | None = None) -> Issuer:
    """An authority, by itself or below another."""
    key = new_key()
    return Issuer(certificate(name, key, above, usage="key_cert_sign", purpose=None, days=(-3000, 3000)), key)


def pem(thing: x509.Certificate | Key) -> bytes:
    """As it is kept in files."""
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(serialization.Encoding.PEM)
    return thing.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def kept(folder: Path, chain: list[x509.Certificate], key: Key) -> tuple[str, str]:
    """The paths of two files with these."""
    paths = folder / "operator.pem", folder / "operator.key"
    paths[0].write_bytes(b"".join(map(pem, chain)))
    paths[1].write_bytes(pem(key))
    return str(paths[0]), str(paths[1])

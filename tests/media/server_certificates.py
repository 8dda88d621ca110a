"""Certificates for servers of tests: good ones, and each way to be bad."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def write_certificate(
    path: Path, *names: str, days: int = 1, signer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Write a certificate for ``names`` and its key to a PEM file; valid for ``days`` from, or until, now.

    Without a ``signer`` it is an authority, signed by itself.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.stem)])
    authority, signing = signer or (None, key)
    ends = sorted([datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(days=days)])
    builder = (
        x509.CertificateBuilder(authority.subject if authority else subject, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends[0])
        .not_valid_after(ends[1])
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    )
    certificate = builder.sign(signing, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return certificate, key

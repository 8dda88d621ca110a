"""Signing: what is claimed and by whom, what the file keeps, and every certificate that won't do."""

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from PIL import Image

from openkontext.media import authority, credentials, receipts
from openkontext.media.images import CONTENT_TYPES, ImageLimits, decode, encode
from openkontext.media.notary import CannotSign, Notary
from openkontext.media.xmp import DIGITAL_SOURCE_TYPE, packet
from tests.media.media_files import noise, png, saved
from tests.media.signers import Issuer, certificate, issuer, kept, new_key, pem
from tests.media.test_receipts import RECEIPT

NOW = datetime.now(UTC)
LONGEST = {name: "x" * 60 for name, kind in (receipts.REQUIRED | receipts.OPTIONAL).items() if kind is str}


def picture(format: str, receipt: dict[str, Any] = RECEIPT) -> bytes:
    """A file to sign."""
    return encode(noise(), format, 90, receipt)


def read(data: bytes, anchors: list[x509.Certificate]) -> credentials.Credentials:
    """The manifest, which must be there."""
    found = credentials.read(data, anchors)
    assert found is not None
    return found


@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_signed_file_is_valid_and_says_the_receipt(
    format: str, notary: Notary, anchors: list[x509.Certificate]
) -> None:
    """In each format: by whom, of what kind, and how it was made, to the last digit of the seed."""
    found = read(notary.sign(picture(format), format, RECEIPT), anchors)
    assert ((), True, False) == (found.problems, found.trusted, found.expired)
    assert RECEIPT == found.receipt
    assert ("openkontext 1.2.3", (DIGITAL_SOURCE_TYPE,)) == (found.generator, found.source_types)
    assert ("openkontext / openkontext signer", authority.name_of(anchors[0])) == (found.signer, found.authority)


@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_nothing_of_the_picture_changes(format: str, notary: Notary) -> None:
    """Pixels, receipt and tag are those of the unsigned file, to Pillow and to `receipts`."""
    before = picture(format)
    after = notary.sign(before, format, RECEIPT)
    pixels = [decode(data, ImageLimits()).tobytes() for data in (before, after)]
    assert pixels[0] == pixels[1]
    assert RECEIPT == receipts.read(after)
    assert DIGITAL_SOURCE_TYPE == receipts.source_type(after)
    with Image.open(io.BytesIO(after)) as image:
        assert packet("openkontext 1.2.3") == image.info["xmp"]


def test_it_claims_an_edit_of_a_given_picture(notary: Notary) -> None:
    """C2PA's guidance for edits by a model: opened, with the input as parent, then edited."""
    with c2pa.Reader(io.BytesIO(notary.sign(picture("png"), "png", RECEIPT))) as reader:
        manifest = reader.get_active_manifest()
    actions = next(each["data"] for each in manifest["assertions"] if each["label"] == "c2pa.actions.v2")["actions"]
    assert ["c2pa.opened", "c2pa.edited"] == [action["action"] for action in actions]
    assert [None, DIGITAL_SOURCE_TYPE] == [action.get("digitalSourceType") for action in actions]
    assert ["parentOf"] == [ingredient["relationship"] for ingredient in manifest["ingredients"]]
    assert "thumbnail" not in manifest


@pytest.mark.parametrize("format", CONTENT_TYPES)
@pytest.mark.parametrize("prompt", ["make it snow", "a" * 9_999, "😀" * 9_999, "\0\x1b" * 5_000])
def test_manifest_is_below_5_kb(format: str, prompt: str, notary: Notary, anchors: list[x509.Certificate]) -> None:
    """Whatever the receipt's words are: a long prompt is cut in the manifest, and whole in the receipt beside it."""
    receipt = RECEIPT | LONGEST | {"prompt": prompt}
    unsigned = picture(format, receipt)
    signed = notary.sign(unsigned, format, receipt)
    assert len(signed) - len(unsigned) <= 5_000
    found = read(signed, anchors)
    assert not found.problems
    assert found.receipt is not None
    assert prompt.startswith(found.receipt["prompt"])
    assert (found.receipt["prompt"] != prompt) == found.receipt.get("prompt_cut", False)


def test_tag_is_below_1_kb() -> None:
    """It stands in every picture."""
    assert len(packet("openkontext 10.20.30")) < 1_000


def test_prompt_that_the_receipt_leaves_out_is_nowhere(notary: Notary) -> None:
    """As a key may ask for: nor is there a trace in the manifest."""
    receipt = {name: value for name, value in RECEIPT.items() if name != "prompt"}
    found = read(notary.sign(picture("png", receipt), "png", receipt), [])
    assert receipt == found.receipt


def test_signed_picture_as_input(notary: Notary) -> None:
    """It is decoded like any other, and its manifest isn't copied to what is made of it."""
    for format in CONTENT_TYPES:
        image = decode(notary.sign(picture(format), format, RECEIPT), ImageLimits())
        for target in CONTENT_TYPES:
            output = encode(image, target, 90, RECEIPT)
            assert credentials.read(output, []) is None
            assert b"c2pa" not in output


@pytest.mark.parametrize("data", [b"", b"garbage", png(4, 4)[:40], picture("jpg")])
def test_what_cannot_be_signed_raises(data: bytes, notary: Notary) -> None:
    """Nothing comes back that somebody could take for a signed file."""
    with pytest.raises(CannotSign, match="couldn't be signed"):
        notary.sign(data, "png", RECEIPT)


def test_authority_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    """Three files that only the service's user may read; the next start finds them."""
    folder = tmp_path / "data" / "c2pa"
    Notary.open(folder, "", "")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"authority.pem", "authority.key", "signer.pem"} == before.keys()
    assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    Notary.open(folder, "", "")
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_workers_that_start_at_once_agree_on_one_authority(tmp_path: Path) -> None:
    """Whoever is first: each one's signer is of the authority that is there in the end."""
    together = threading.Barrier(8)

    def start(_: int) -> authority.Identity:
        together.wait()
        return authority.local(tmp_path, NOW)

    with ThreadPoolExecutor(8) as threads:
        identities = list(threads.map(start, range(8)))
    (found,) = authority.read_certificates(tmp_path / "authority.pem")
    for identity in identities:
        x509.load_pem_x509_certificate(identity.certificates).verify_directly_issued_by(found)


def test_certificates_say_nothing_of_this_machine(folder: Path) -> None:
    """Names that are the same everywhere but for eight digits of the key, and no alternative names."""
    for name in ("authority.pem", "signer.pem"):
        (held,) = authority.read_certificates(folder / name)
        assert {"O=openkontext"} == {
            part.rfc4514_string() for part in held.subject.rdns if "O=" in part.rfc4514_string()
        }
        common = authority.name_of(held).removeprefix("openkontext / ")
        assert common == "openkontext signer" or common.startswith("openkontext local authority ")
        with pytest.raises(x509.ExtensionNotFound):
            held.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_local_certificates_are_what_c2pa_asks_for(folder: Path) -> None:
    """Version 3, P-256, the usages, and identifiers of both keys."""
    (above,) = authority.read_certificates(folder / "authority.pem")
    (signer,) = authority.read_certificates(folder / "signer.pem")
    extensions = signer.extensions
    assert [x509.Version.v3] * 2 == [above.version, signer.version]
    assert isinstance(signer.public_key(), ec.EllipticCurvePublicKey)
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (True, True, False) == (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign)
    assert ExtendedKeyUsageOID.EMAIL_PROTECTION in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    identifiers = (
        extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier,
        above.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest,
    )
    assert identifiers[0] == identifiers[1]


def test_signer_is_renewed_after_a_year_and_its_files_stay_valid(tmp_path: Path) -> None:
    """By the same authority, at the first picture after that; nobody need start anything again."""
    clock = [NOW - timedelta(days=400)]
    notary = Notary.open(tmp_path, "", "", clock=lambda: clock[0])
    old = notary.sign(picture("png"), "png", RECEIPT)
    before = authority.read_certificates(tmp_path / "signer.pem")
    clock[0] = NOW
    new = notary.sign(picture("png"), "png", RECEIPT)
    anchors = authority.read_certificates(tmp_path / "authority.pem")
    assert before != authority.read_certificates(tmp_path / "signer.pem")
    first, second = read(old, anchors), read(new, anchors)
    assert [((), True)] * 2 == [(each.problems, each.trusted) for each in (first, second)]
    assert first.valid[1] < second.valid[1]


def test_rotated_authority(tmp_path: Path) -> None:
    """With the old one's certificate below the new one's, `verify` goes on to trust what it signed."""
    old = Notary.open(tmp_path, "", "").sign(picture("png"), "png", RECEIPT)
    path = tmp_path / "authority.pem"
    former = path.read_bytes()
    for name in ("authority.pem", "authority.key", "signer.pem"):
        (tmp_path / name).unlink()
    Notary.open(tmp_path, "", "")
    assert not read(old, authority.read_certificates(path)).trusted
    path.write_bytes(path.read_bytes() + former)
    new = Notary.open(tmp_path, "", "").sign(picture("png"), "png", RECEIPT)
    assert [True, True] == [read(data, authority.read_certificates(path)).trusted for data in (old, new)]


def test_signer_goes_on_without_the_authority_s_key(tmp_path: Path) -> None:
    """It may be kept elsewhere, until a year is over."""
    Notary.open(tmp_path, "", "")
    (tmp_path / "authority.key").unlink()
    Notary.open(tmp_path, "", "").sign(picture("png"), "png", RECEIPT)
    later = NOW + timedelta(days=400)
    with pytest.raises(CannotSign, match=r"authority\.key is missing: restore it, or remove"):
        authority.local(tmp_path, later)


def spoil(folder: Path, name: str, contents: bytes | None) -> None:
    """Overwrite or delete a file of an authority, and have the signer be made anew."""
    (folder / "signer.pem").unlink()
    if contents is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(contents)


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("authority.key", b"", "no private key in PEM form"),
        ("authority.key", pem(new_key()), "isn't the key of"),
        ("authority.key", pem(ec.generate_private_key(ec.SECP384R1())), "on the curve P-256"),
        ("authority.pem", b"-----BEGIN CERTIFICATE-----\n", "no certificate in PEM form"),
        ("signer.pem", b"", "no certificate in PEM form"),
        ("signer.pem", pem(certificate("x", new_key())), "no private key in PEM form"),
    ],
)
def test_damaged_files_of_the_authority(tmp_path: Path, name: str, contents: bytes, message: str) -> None:
    """The line names the file; nothing is made anew over what may be restored."""
    Notary.open(tmp_path, "", "")
    spoil(tmp_path, name, contents)
    with pytest.raises(CannotSign, match=message) as raised:
        Notary.open(tmp_path, "", "")
    assert name in str(raised.value)
    assert contents == (tmp_path / name).read_bytes()


def test_authority_that_ran_out(tmp_path: Path) -> None:
    """After twenty years somebody must decide."""
    Notary.open(tmp_path, "", "")
    with pytest.raises(CannotSign, match=r"ran out on .*: restore it, or remove authority\.pem"):
        authority.local(tmp_path, NOW + timedelta(days=7_400))


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A line, and no path of the standard library."""
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(CannotSign, match="can't keep the signing authority in"):
        Notary.open(tmp_path / "data" / "c2pa", "", "")


@pytest.fixture(scope="module")
def above() -> Issuer:
    """The authority that issues to operators."""
    return issuer()


DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
CLAIM_SIGNING = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")


@pytest.mark.parametrize("purpose", [ExtendedKeyUsageOID.EMAIL_PROTECTION, DOCUMENT_SIGNING, CLAIM_SIGNING])
def test_operator_s_certificate(tmp_path: Path, above: Issuer, purpose: x509.ObjectIdentifier) -> None:
    """Of each purpose that C2PA knows; the folder of the local authority isn't made then."""
    key = new_key()
    notary = Notary.open(tmp_path / "c2pa", *kept(tmp_path, [certificate("Studio", key, above, purpose=purpose)], key))
    found = read(notary.sign(picture("jpg"), "jpg", RECEIPT), [above.certificate])
    assert ("Example / Studio", True, ()) == (found.signer, found.trusted, found.problems)
    assert not (tmp_path / "c2pa").exists()


def test_operator_s_chain(tmp_path: Path, above: Issuer) -> None:
    """The certificates in between go with the file, so that who trusts the uppermost trusts it."""
    key, middle = new_key(), issuer("Example Intermediate", above)
    notary = Notary.open(tmp_path, *kept(tmp_path, [certificate("Studio", key, middle), middle.certificate], key))
    found = read(notary.sign(picture("jpg"), "jpg", RECEIPT), [above.certificate])
    assert ("Example / Example Intermediate", True, ()) == (found.authority, found.trusted, found.problems)


def refusals(above: Issuer) -> dict[str, tuple[list[x509.Certificate], Any, str]]:
    """Certificates and keys that won't do, and what is said."""
    key, middle = new_key(), issuer("Example Intermediate", above)
    rsa_key, longer = rsa.generate_private_key(65_537, 2_048), ec.generate_private_key(ec.SECP384R1())
    good = certificate("Studio", key, above)
    tls = certificate("Studio", key, above, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    return {
        "another key": ([good], new_key(), "isn't the key of the first certificate"),
        "the issuer first": ([above.certificate, good], key, "isn't the key of the first certificate"),
        "run out": ([certificate("Studio", key, above, days=(-9, -1))], key, "is valid from .* have it renewed"),
        "of the future": ([certificate("Studio", key, above, days=(1, 9))], key, "is valid from"),
        "RSA": ([certificate("Studio", rsa_key, above)], rsa_key, "must be ECDSA on the curve P-256"),
        "another curve": ([certificate("Studio", longer, above)], longer, "must be ECDSA on the curve P-256"),
        "self-signed": ([certificate("Studio", key)], key, "is self-signed"),
        "a gap in the chain": ([certificate("Studio", key, middle), above.certificate], key, "must follow each other"),
        "for TLS": ([tls], key, "isn't one for signing: it needs the key usage digitalSignature"),
        "for nothing": ([certificate("Studio", key, above, purpose=None)], key, "isn't one for signing"),
        "an authority's": ([certificate("Studio", key, above, usage="key_cert_sign")], key, "isn't one for signing"),
        "for keys only": ([certificate("Studio", key, above, usage="key_agreement")], key, "isn't one for signing"),
    }


REFUSALS = refusals(issuer())


@pytest.mark.parametrize("name", REFUSALS)
def test_operator_s_certificate_that_will_not_do(tmp_path: Path, name: str) -> None:
    """Said at the start, not with the first picture; and no key in what is said."""
    chain, key, message = REFUSALS[name]
    with pytest.raises(CannotSign, match=message) as raised:
        Notary.open(tmp_path, *kept(tmp_path, chain, key))
    assert "PRIVATE" not in str(raised.value)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "no private key in PEM form"),
        (b"\xff" * 100, "no private key in PEM form"),
        (pem(certificate("x", new_key())), "no private key in PEM form"),
        (
            new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
            "has a passphrase",
        ),
    ],
)
def test_operator_s_key_that_is_none(tmp_path: Path, above: Issuer, contents: bytes, message: str) -> None:
    """Whatever the file holds."""
    certificates, key = kept(tmp_path, [certificate("Studio", new_key(), above)], new_key())
    Path(key).write_bytes(contents)
    with pytest.raises(CannotSign, match=message):
        Notary.open(tmp_path, certificates, key)


@pytest.mark.parametrize(
    ("certificates", "key", "message"),
    [
        ("operator.pem", "", "c2pa_certificate is set and c2pa_key isn't"),
        ("", "operator.key", "c2pa_key is set and c2pa_certificate isn't"),
        ("/nowhere/operator.pem", "/nowhere/operator.key", "can't read /nowhere/operator.pem: no such file"),
        (__file__, __file__, "no certificate in PEM form"),
    ],
)
def test_settings_that_name_nothing(tmp_path: Path, certificates: str, key: str, message: str) -> None:
    """Both or neither, and files that are there."""
    with pytest.raises(CannotSign, match=message):
        Notary.open(tmp_path, certificates, key)


def test_operator_s_renewed_certificate_is_taken_up(tmp_path: Path, above: Issuer) -> None:
    """New files under the old names do, once the old certificate has run out; before, nothing is signed."""
    clock = [NOW]
    first, second = new_key(), new_key()
    paths = kept(tmp_path, [certificate("First", first, above)], first)
    notary = Notary.open(tmp_path, *paths, clock=lambda: clock[0])
    clock[0] = NOW + timedelta(days=11)
    with pytest.raises(CannotSign, match="have it renewed"):
        notary.sign(picture("png"), "png", RECEIPT)
    tls = certificate("TLS", second, above, days=(-1, 20), purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    kept(tmp_path, [tls], second)
    for _ in range(2):
        with pytest.raises(CannotSign, match="isn't one for signing"):
            notary.sign(picture("png"), "png", RECEIPT)
    kept(tmp_path, [certificate("Second", second, above, days=(-1, 20))], second)
    assert "Example / Second" == read(notary.sign(picture("png"), "png", RECEIPT), []).signer


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """A server's address, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_nothing_is_fetched(tmp_path: Path, above: Issuer) -> None:
    """Neither a manifest that a file says is elsewhere, nor word on a certificate that says where to ask for it."""
    with listening() as (url, asked):
        access = x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(method, x509.UniformResourceIdentifier(f"{url}/{method.dotted_string}"))
                for method in (AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS)
            ]
        )
        key = new_key()
        chain = [certificate("Studio", key, above, also=access)]
        signed = Notary.open(tmp_path, *kept(tmp_path, chain, key)).sign(picture("jpg"), "jpg", RECEIPT)
        assert read(signed, [above.certificate]).trusted
        elsewhere = saved(noise(), "JPEG", xmp=remote(f"{url}/manifest"))
        with pytest.raises(credentials.Unreadable, match="must fetch remote manifests"):
            credentials.read(elsewhere, [])
        assert [] == asked
        # What the library does by itself, and what shows that the file would have been asked for.
        with pytest.raises(c2pa.C2paError):
            c2pa.Reader(io.BytesIO(elsewhere))
        assert ["/manifest"] == asked


def remote(url: str) -> bytes:
    """The XMP that says where a file's manifest is."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
        f'dcterms:provenance="{url}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def test_receipt_is_readable_by_any_tool(notary: Notary) -> None:
    """A label of our own domain, and plain JSON to whoever reads the manifest."""
    with c2pa.Reader(io.BytesIO(notary.sign(picture("webp"), "webp", RECEIPT))) as reader:
        manifest = reader.get_active_manifest()
    said = {each["label"]: each["data"] for each in manifest["assertions"]}
    assert json.loads(json.dumps(RECEIPT)) == said["org.openkontext.receipt"]

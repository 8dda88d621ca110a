"""What a file says of itself, against what it is: honest files, changed ones, and ones made to deceive."""

import io
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from openkontext.media import authority, credentials
from openkontext.media.claims import Findings, examine
from openkontext.media.credentials import OFFLINE
from openkontext.media.images import CONTENT_TYPES, encode
from openkontext.media.notary import Notary
from tests.media.media_files import gif_of_frame, noise, png_chunk, saved
from tests.media.signers import certificate, issuer, kept, new_key, pem
from tests.media.test_receipts import RECEIPT

HERE = Path(__file__).parent
FORMATS = list(CONTENT_TYPES)


def receipt_for(format: str, **more: Any) -> dict[str, Any]:
    """The receipt of `noise` in a format."""
    return RECEIPT | {"width": 48, "height": 32, "output_format": format} | more


@pytest.fixture(scope="module")
def files(notary: Notary) -> dict[str, bytes]:
    """An honest file of each format."""
    return {
        format: notary.sign(encode(noise(), format, 90, receipt_for(format)), format, receipt_for(format))
        for format in FORMATS
    }


def outcome(data: bytes, anchors: list[x509.Certificate]) -> tuple[str, str]:
    """The verdict, and the reasons in one line."""
    findings = examine(data, anchors)
    return findings.verdict, "; ".join(findings.broken + findings.open)


@pytest.mark.parametrize("format", FORMATS)
def test_honest_file_holds(format: str, files: dict[str, bytes], anchors: list[x509.Certificate]) -> None:
    """And says the same in all three places."""
    findings = examine(files[format], anchors)
    assert ("holds", (), ()) == (findings.verdict, findings.broken, findings.open)
    assert findings.credentials is not None
    assert receipt_for(format) == findings.receipt == findings.credentials.receipt
    assert (findings.source_type,) == findings.credentials.source_types


@pytest.mark.parametrize("prompt", ["a" * 9_999, "é" + "\1" * 9_998])
@pytest.mark.parametrize("format", FORMATS)
def test_long_prompt_holds(format: str, prompt: str, notary: Notary, anchors: list[x509.Certificate]) -> None:
    """Cut in the manifest, and in a JPEG in the receipt too, each elsewhere: that is no contradiction."""
    receipt = receipt_for(format, prompt=prompt)
    signed = notary.sign(encode(noise(), format, 90, receipt), format, receipt)
    assert ("holds", "") == outcome(signed, anchors)


def flipped(data: bytes, at: int) -> bytes:
    """With one bit changed."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_one_bit_of_a_pixel(files: dict[str, bytes], anchors: list[x509.Certificate]) -> None:
    """In a JPEG's or WebP's data the signature tells; in a PNG's the checksum does already, before anything else."""
    jpeg = flipped(files["jpg"], len(files["jpg"]) - 10)
    assert ("broken", "the file was changed after it was signed") == outcome(jpeg, anchors)
    webp = files["webp"]
    webp = flipped(webp, webp.index(b"VP8 ") + 100)
    assert ("broken", "the file was changed after it was signed") == outcome(webp, anchors)
    verdict, reasons = outcome(flipped(files["png"], len(files["png"]) - 30), anchors)
    assert verdict == "broken"
    assert "checksum" in reasons


def test_png_repaired_after_a_change(files: dict[str, bytes], anchors: list[x509.Certificate]) -> None:
    """With right checksums it is a good picture, and not the one that was signed."""
    data = files["png"]
    end = len(data) - 12
    more = data[:end] + png_chunk(b"tEXt", b"Comment\0hello") + data[end:]
    assert ("broken", "the file was changed after it was signed") == outcome(more, anchors)


@pytest.mark.parametrize("format", FORMATS)
def test_bytes_after_the_end(format: str, files: dict[str, bytes], anchors: list[x509.Certificate]) -> None:
    """They are part of the file, and of what was hashed."""
    assert "broken" == outcome(files[format] + b"<script>", anchors)[0]


@pytest.mark.parametrize("format", FORMATS)
def test_saved_again(format: str, files: dict[str, bytes], anchors: list[x509.Certificate]) -> None:
    """The manifest is gone, and nothing shows that there was one."""
    with Image.open(io.BytesIO(files[format])) as image:
        again = saved(image.convert("RGB"), image.format or "")
    verdict, reasons = outcome(again, anchors)
    assert verdict == "unproven"
    assert reasons.startswith("it isn't signed")


def manifest_of(data: bytes) -> tuple[int, int]:
    """Where the manifest's segments start and end in a JPEG."""
    start = data.index(b"\xff\xeb")
    return start, start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")


def test_forged_receipt_with_the_manifest_of_another(files: dict[str, bytes], anchors: list[x509.Certificate]) -> None:
    """Put into another file, a good manifest says that that one was changed, and where they differ."""
    forged = encode(noise("L"), "jpg", 90, receipt_for("jpg", prompt="a good deed", seed=1))
    start, end = manifest_of(files["jpg"])
    # Behind the first segment, where it was.
    both = forged[:20] + files["jpg"][start:end] + forged[20:]
    verdict, reasons = outcome(both, anchors)
    assert verdict == "broken"
    assert "the file was changed after it was signed" in reasons
    assert "the receipt and the signed one differ in prompt, seed" in reasons


def test_receipt_that_its_own_signer_contradicts(notary: Notary, anchors: list[x509.Certificate]) -> None:
    """Even a good signature doesn't make two stories one."""
    data = encode(noise(), "jpg", 90, receipt_for("jpg", prompt="make it snow"))
    signed = notary.sign(data, "jpg", receipt_for("jpg", prompt="make it rain"))
    assert ("broken", "the receipt and the signed one differ in prompt") == outcome(signed, anchors)


def test_receipt_of_another_picture(anchors: list[x509.Certificate]) -> None:
    """Copied from elsewhere: its size gives it away, or its format."""
    verdict, reasons = outcome(encode(noise(size=(40, 40)), "jpg", 90, receipt_for("png")), anchors)
    assert verdict == "broken"
    assert "the receipt is of 48 × 32 pixels, and these are 40 × 40" in reasons
    assert "the receipt is of a png, and this is a jpeg" in reasons


def test_signer_that_nobody_here_knows(files: dict[str, bytes], anchors: list[x509.Certificate]) -> None:
    """Anybody can make an authority, of the same name too."""
    for trusted in ([], [issuer().certificate], [issuer(authority.name_of(anchors[0])).certificate]):
        verdict, reasons = outcome(files["webp"], trusted)
        assert verdict == "unproven"
        assert reasons.startswith("its authority isn't trusted here")


def test_certificate_that_ran_out() -> None:
    """The file was signed with one that was good for three seconds, by an authority that is trusted."""
    findings = examine((HERE / "expired.test.jpg").read_bytes(), authority.read_certificates(HERE / "expired.test.pem"))
    assert ("unproven", ()) == (findings.verdict, findings.broken)
    assert "ran out on 2026-11-22" in findings.open[0]


def test_expired_and_changed() -> None:
    """That it can't be known who signed doesn't hide that it was changed."""
    data = (HERE / "expired.test.jpg").read_bytes()
    anchors = authority.read_certificates(HERE / "expired.test.pem")
    assert "broken" == outcome(flipped(data, len(data) - 10), anchors)[0]


UNCHECKED = OFFLINE | {"verify": OFFLINE["verify"] | {"verify_after_sign": False}}


def foreign(manifest: dict[str, Any], algorithm: bytes, key: Any, data: bytes | None = None) -> tuple[bytes, Any]:
    """A JPEG that another vendor's tool signed, and that vendor's authority."""
    above = issuer("Example Cameras")
    info = c2pa.C2paSignerInfo(algorithm, pem(certificate("Camera 7", key, above)), pem(key), None)
    signed = io.BytesIO()
    with c2pa.Context.from_dict(UNCHECKED, signer=c2pa.Signer.from_info(info)) as context:
        c2pa.Builder(manifest, context).sign("image/jpeg", io.BytesIO(data or saved(noise(), "JPEG")), signed)
    return signed.getvalue(), above.certificate


CAPTURED = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
CAMERA: dict[str, Any] = {
    "claim_generator_info": [{"name": "Example Camera", "version": "7"}],
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "created": True,
            "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": CAPTURED}]},
        }
    ],
}
KEYS = {
    b"es256": ec.generate_private_key(ec.SECP256R1()),
    b"es384": ec.generate_private_key(ec.SECP384R1()),
    b"ed25519": ed25519.Ed25519PrivateKey.generate(),
    b"ps256": rsa.generate_private_key(65_537, 2_048),
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_another_vendor_s_file(algorithm: bytes) -> None:
    """Who and what, with whichever kind of key; and it holds for who trusts that vendor."""
    data, vendor = foreign(CAMERA, algorithm, KEYS[algorithm])
    findings = examine(data, [vendor])
    assert ("holds", None, None) == (findings.verdict, findings.receipt, findings.source_type)
    found = findings.credentials
    assert found is not None
    assert ("Example Camera 7", (CAPTURED,), None) == (found.generator, found.source_types, found.receipt)
    assert ("Example / Camera 7", "Example / Example Cameras") == (found.signer, found.authority)


def test_tag_that_the_manifest_contradicts(files: dict[str, bytes]) -> None:
    """A photograph, says its camera, and edited with AI, says its tag: who is right isn't ours to tell."""
    with Image.open(io.BytesIO(files["jpg"])) as image:
        tagged = saved(noise(), "JPEG", xmp=image.info["xmp"])
    data, vendor = foreign(CAMERA, b"es256", KEYS[b"es256"], tagged)
    expected = "the tag says edited with AI (compositeWithTrainedAlgorithmicMedia), and the manifest digitalCapture"
    assert ("unproven", expected) == outcome(data, [vendor])


def also(label: str, said: Any) -> list[dict[str, Any]]:
    """A camera's assertions, and another one."""
    return [*CAMERA["assertions"], {"label": label, "data": said}]


def actions(*said: dict[str, Any]) -> list[dict[str, Any]]:
    """An assertion of actions."""
    return [{"label": "c2pa.actions.v2", "created": True, "data": {"actions": list(said)}}]


ODD = {
    "a receipt that is a list": also("org.openkontext.receipt", [1, 2]),
    "a receipt that is text": also("org.openkontext.receipt", "\x1b[31m"),
    "half a receipt": also("org.openkontext.receipt", {"prompt": {"deep": [None]}}),
    "an unknown label": also("org.example.any", {"html": "<script>"}),
    "two receipts": also("org.openkontext.receipt", RECEIPT) + also("org.openkontext.receipt", {})[1:],
    "a type that is no word": actions({"action": "c2pa.created", "digitalSourceType": "\x1b]0;x\x07"}),
    "no source type, and no input": actions({"action": "c2pa.opened"}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_manifest(name: str) -> None:
    """Whatever another tool writes under our label or C2PA's: there is an answer."""
    data, vendor = foreign(CAMERA | {"assertions": ODD[name]}, b"es256", KEYS[b"es256"])
    assert examine(data, [vendor]).verdict in ("holds", "broken")


NO_PICTURES = {
    "nothing": (b"", "broken", "it is no picture"),
    "text": (b"hello", "broken", "it is no picture"),
    "half a PNG": (saved(noise(), "PNG")[:60], "broken", "the picture is cut off"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unproven", "it is SVG: only png"),
    "TIFF": (b"II*\0" + bytes(40), "unproven", "it is TIFF: only png"),
    "GIF": (gif_of_frame(1), "unproven", "it is GIF: only png"),
}


@pytest.mark.parametrize("name", NO_PICTURES)
def test_what_is_never_signed(name: str) -> None:
    """A word on what it is."""
    data, verdict, reason = NO_PICTURES[name]
    found, reasons = outcome(data, [])
    assert verdict == found
    assert reasons.startswith(reason)


def test_picture_that_the_service_would_not_take(notary: Notary, anchors: list[x509.Certificate]) -> None:
    """Its shape is nothing to the signature: other vendors have panoramas."""
    long = Image.new("RGB", (4_000, 8))
    receipt = receipt_for("png", width=4_000, height=8)
    assert ("holds", "") == outcome(notary.sign(encode(long, "png", 90, receipt), "png", receipt), anchors)


def deeply_nested(byte: int) -> bytes:
    """A JPEG whose manifest holds thousands of CBOR values in each other: arrays, maps or tags."""
    length = 50_000
    manifest = CAMERA | {"assertions": also("org.example.deep", {"x": "a" * length})}
    data, _ = foreign(manifest, b"es256", KEYS[b"es256"])
    # In the place of a text: of its head, which is a 0x79 and two bytes of length, and of what follows.
    at = data.index(b"a" * 50) - 3
    assert data[at] == 0x79
    return data[:at] + bytes([byte]) * (length + 2) + b"\xf6" + data[at + length + 3 :]


@pytest.mark.parametrize("byte", [0x81, 0xA1, 0xD8])
def test_deeply_nested_manifest(byte: int) -> None:
    """It doesn't take the process down."""
    assert examine(deeply_nested(byte), []).verdict in ("broken", "unproven")


@pytest.fixture(scope="module")
def honest(files: dict[str, bytes], anchors: list[x509.Certificate]) -> dict[str, Findings]:
    """What the honest files say."""
    return {format: examine(data, anchors) for format, data in files.items()}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=80, deadline=None)
@given(
    format=st.sampled_from(["jpg", "webp"]),
    where=st.floats(0, 1),
    junk=st.binary(min_size=1, max_size=8),
)
def test_what_holds_is_what_was_signed(
    files: dict[str, bytes],
    honest: dict[str, Findings],
    anchors: list[x509.Certificate],
    format: str,
    where: float,
    junk: bytes,
) -> None:
    """Whatever is written over a file: nothing crashes, and where it still holds every claim and pixel is the same.

    It may hold: the manifest has padding of its own that no hash covers.
    """
    data = files[format]
    at = int(where * (len(data) - len(junk)))
    changed = data[:at] + junk + data[at + len(junk) :]
    findings = examine(changed, anchors)
    if findings.verdict == "holds":
        assert honest[format] == findings
        with Image.open(io.BytesIO(changed)) as one, Image.open(io.BytesIO(data)) as other:
            assert other.tobytes() == one.tobytes()


def test_operator_s_chain_is_verified_up_to_the_root(tmp_path: Path) -> None:
    """Who trusts the root needn't know the authority in between."""
    root = issuer("Example Root")
    middle, key = issuer("Example Intermediate", root), new_key()
    notary = Notary.open(tmp_path, *kept(tmp_path, [certificate("Studio", key, middle), middle.certificate], key))
    signed = notary.sign(encode(noise(), "jpg", 90, receipt_for("jpg")), "jpg", receipt_for("jpg"))
    assert ("holds", "") == outcome(signed, [root.certificate])
    assert credentials.read(signed, []) is not None

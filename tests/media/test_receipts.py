"""Receipts: written where tools look, read from files that anybody may have made."""

import io
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from openkontext.media.images import CONTENT_TYPES, encode
from openkontext.media.receipts import OPTIONAL, REQUIRED, read, source_type
from openkontext.media.xmp import DIGITAL_SOURCE_TYPE, packet
from tests.media.media_files import gif_of_frame, noise, png, png_chunk, saved

EXAMPLES = {str: "word", int: 7, float: 3.5, bool: True}
RECEIPT: dict[str, Any] = {name: EXAMPLES[kind] for name, kind in REQUIRED.items()} | {
    "openkontext": "1.2.3",
    "prompt": "make it snow",
    "seed": 2**63 - 1,
}
PROMPTS = {
    "ASCII": "make it snow",
    "Latin-1": 'mach es "schön"\n',
    "all of Unicode": "雪を降らせて ❄ 😀 \\ \x1b[31m",
    "as long as may be": "雪" * 10_000,
    "as long as may be, in four bytes each": "😀" * 10_000,
}


def kept(format: str, receipt: dict[str, Any] = RECEIPT) -> bytes:
    """A picture's file with a receipt."""
    return encode(noise(), format, 90, receipt)


def with_text(text: bytes) -> bytes:
    """A PNG with any text in the receipt's place."""
    return png(4, 4, extra=png_chunk(b"tEXt", b"openkontext\0" + text))


@pytest.mark.parametrize("format", CONTENT_TYPES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_what_is_written_is_read(format: str, prompt: str) -> None:
    """Every field, in every format, whatever the prompt is written in."""
    receipt = RECEIPT | {"prompt": PROMPTS[prompt]}
    assert receipt == read(kept(format, receipt))


@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_pixels_are_those_without_a_receipt(format: str) -> None:
    """It changes what stands beside the picture, and nothing of it."""
    plain, with_receipt = (Image.open(io.BytesIO(data)) for data in (encode(noise(), format, 90), kept(format)))
    assert (plain.mode, plain.tobytes()) == (with_receipt.mode, with_receipt.tobytes())


def test_where_a_png_has_it() -> None:
    """Three text chunks, before the pixels; Pillow gives the last under another name too."""
    tag = packet("openkontext 1.2.3")
    expected = {"Software": "openkontext 1.2.3", "openkontext": json.dumps(RECEIPT, separators=(",", ":"))}
    expected_tag = {"XML:com.adobe.xmp": tag.decode(), "xmp": tag}
    assert expected | expected_tag == Image.open(io.BytesIO(kept("png"))).info


@pytest.mark.parametrize("format", ["jpg", "webp"])
@pytest.mark.parametrize(
    ("prompt", "code", "encoding"), [("snow", b"ASCII\0\0\0", "ascii"), ("雪", b"UNICODE\0", "utf-16-be")]
)
def test_where_the_others_have_it(format: str, prompt: str, code: bytes, encoding: str) -> None:
    """EXIF's Software and UserComment, with the code of its characters before it and of the type that EXIF demands."""
    data = kept(format, RECEIPT | {"prompt": prompt})
    tags = Image.open(io.BytesIO(data)).getexif()
    comment = tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
    assert "openkontext 1.2.3" == tags[ExifTags.Base.Software]
    assert (code, prompt) == (comment[:8], json.loads(comment[8:].decode(encoding))["prompt"])
    undefined = 7
    assert struct.pack(">HHI", ExifTags.Base.UserComment, undefined, len(comment)) in data


def test_a_prompt_without_room_is_cut_and_said_to_be() -> None:
    """In a JPEG 64 KB are all there is: control characters take six times their place, twice with Unicode beside."""
    receipt = RECEIPT | {"prompt": "é" + "\1" * 9_999}
    expected = RECEIPT | {"prompt": "é" + "\1" * 3_999, "prompt_cut": True}
    assert expected == read(kept("jpg", receipt))
    assert receipt == read(kept("png", receipt))


def test_the_other_order_of_bytes_is_read() -> None:
    """As a tool writes it that copies the text into little-endian EXIF data."""
    text = json.dumps(RECEIPT | {"prompt": "雪"}, ensure_ascii=False)
    tags = Image.Exif()
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + text.encode("utf-16-le")
    assert RECEIPT | {"prompt": "雪"} == read(saved(noise(), "JPEG", exif=tags))


def test_fields_of_others_are_left_out() -> None:
    """What a receipt may say is what is read of it."""
    more = RECEIPT | {"request_id": "r", "threads": 2, "html": "<b>"}
    assert RECEIPT | {"request_id": "r", "threads": 2} == read(with_text(json.dumps(more).encode()))


@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_a_picture_without_one(format: str) -> None:
    """None, and no error."""
    assert read(encode(noise(), format, 90)) is None


def exif_comment(comment: object) -> bytes:
    """A JPEG with anything as its UserComment."""
    tags = Image.Exif()
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    return saved(noise(), "JPEG", exif=tags)


SOUND = json.dumps(RECEIPT).encode()
UNSOUND = {
    "nothing": b"",
    "text": b"hello",
    "a gif": gif_of_frame(4),
    "a png cut off": kept("png")[:-20],
    "a jpeg cut off": kept("jpg")[:-20],
    "a webp cut off": kept("webp")[:-20],
    "a png that claims too much": png(20_000, 20_000, extra=png_chunk(b"tEXt", b"openkontext\0" + SOUND)),
    "no JSON": with_text(b"seed: 42"),
    "JSON cut off": with_text(SOUND[:-1]),
    "a list": with_text(b"[]"),
    "an empty object": with_text(b"{}"),
    "a deep one": with_text(b"[" * 100_000),
    "a number of many digits": with_text(SOUND.replace(str(2**63 - 1).encode(), b"9" * 5_000)),
    "a long one": with_text(SOUND + b" " * 300_000),
    "a text that unpacks to much": png(
        4, 4, extra=png_chunk(b"zTXt", b"openkontext\0\0" + zlib.compress(SOUND + b" " * 5_000_000))
    ),
    "an EXIF comment that is a number": exif_comment(7),
    "an EXIF comment that is text": exif_comment("x" * 40),
    "an EXIF comment of another code": exif_comment(b"JIS\0\0\0\0\0" + bytes(range(200, 240))),
    "an EXIF comment that is half a character": exif_comment(b"UNICODE\0" + b"\xd8\0\xd8"),
    "broken EXIF data": saved(noise(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\1" * 40),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", UNSOUND)
def test_no_sound_receipt_is_none(name: str) -> None:
    """Whatever is wrong with the file."""
    assert read(UNSOUND[name]) is None


@pytest.mark.parametrize("name", REQUIRED)
def test_a_field_that_is_missing(name: str) -> None:
    """Half a receipt is none."""
    assert read(with_text(json.dumps({n: v for n, v in RECEIPT.items() if n != name}).encode())) is None


@pytest.mark.parametrize("name", REQUIRED | OPTIONAL)
def test_a_field_of_a_wrong_type(name: str) -> None:
    """Nor is one that says a number where a word belongs, or the reverse; true is no number."""
    kind = (REQUIRED | OPTIONAL)[name]
    wrong = [None, [], {}, *(example for type_, example in EXAMPLES.items() if type_ is not kind)]
    wrong = [value for value in wrong if not (kind is float and type(value) is int)]
    assert [None] * len(wrong) == [read(with_text(json.dumps(RECEIPT | {name: v}).encode())) for v in wrong]


@pytest.mark.parametrize("word", ["\x1b]0;title\x07", "two\nlines", "x" * 301])
def test_words_that_a_terminal_would_not_survive(word: str) -> None:
    """They are shown to people: no escape sequences, no novels. The prompt, which isn't, may be any text."""
    assert read(with_text(json.dumps(RECEIPT | {"device": word}).encode())) is None
    assert word == read(with_text(json.dumps(RECEIPT | {"prompt": word}).encode()))["prompt"]  # type: ignore[index]


FILES = [kept(format) for format in CONTENT_TYPES]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=200, deadline=None)
@given(file=st.sampled_from(FILES), where=st.floats(0, 1), junk=st.binary(min_size=1, max_size=12))
def test_damage_is_harmless(file: bytes, where: float, junk: bytes) -> None:
    """Whatever bytes are written over a file's, the outcome is a whole receipt or None."""
    at = int(where * len(file))
    damaged = file[:at] + junk + file[at + len(junk) :]
    found = read(damaged)
    assert found is None or found.keys() >= REQUIRED.keys()
    assert source_type(damaged) is None or len(str(source_type(damaged))) <= 200


@pytest.mark.parametrize("format", CONTENT_TYPES)
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_edited_with_ai_is_said_where_photo_tools_look(format: str, prompt: str) -> None:
    """IPTC's digital source type, in the XMP of each format, however much room the receipt takes."""
    assert DIGITAL_SOURCE_TYPE == source_type(kept(format, RECEIPT | {"prompt": prompt}))
    assert source_type(encode(noise(), format, 90)) is None


AS_ELEMENT = "<Iptc4xmpExt:DigitalSourceType>\n http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture</x>"
XMP = {
    "an element": (AS_ELEMENT, "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"),
    "single quotes": ("DigitalSourceType = 'print'", "print"),
    "empty": ('DigitalSourceType=""', None),
    "too long": (f'DigitalSourceType="{"x" * 201}"', "x" * 200),
    "entities that grow": ('<!DOCTYPE x [<!ENTITY a "&b;&b;"><!ENTITY b "c">]> <x DigitalSourceType="&a;"/>', "&a;"),
    "no text": ("\xff\xfe", None),
}


@pytest.mark.parametrize("name", XMP)
def test_tags_of_others(name: str) -> None:
    """As other tools write them; nothing is expanded, and nothing long comes back."""
    packet, expected = XMP[name]
    assert expected == source_type(saved(noise(), "JPEG", xmp=packet.encode("latin-1")))

"""Data URIs: what is read, and what each refusal says."""

import base64
from urllib.parse import quote

import pytest

from openkontext.contract import Problem
from openkontext.media.datauri import decode, is_data_uri

DATA = bytes(range(256))
TEXT = base64.b64encode(DATA).decode()

READ = {
    "plain": f"data:image/png;base64,{TEXT}",
    "capitals": f"DATA:IMAGE/PNG;BASE64,{TEXT}",
    "no type": f"data:;base64,{TEXT}",
    "unknown image type": f"data:image/x-thing;base64,{TEXT}",
    "octet-stream": f"data:application/octet-stream;base64,{TEXT}",
    "with a parameter": f"data:image/png;name=a.png;base64,{TEXT}",
    "without padding": f"data:image/png;base64,{TEXT.rstrip('=')}",
    "with line ends": "data:image/png;base64,\n" + "\r\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)),
    "escaped base64": f"data:image/png;base64,{quote(TEXT, safe='')}",
    "percent-encoded": f"data:image/png,{quote(DATA)}",
}


@pytest.mark.parametrize("name", READ)
def test_read(name: str) -> None:
    """Every way to write the same bytes gives them."""
    assert DATA == decode(READ[name], 256)


REFUSED = {
    "not a data URI": ("https://host/a.png", "is not a data URI"),
    "no comma": ("data:image/png;base64", "has no comma"),
    "empty": ("data:image/png;base64,", "is empty"),
    "only spaces": ("data:image/png;base64, \n", "is empty"),
    "html": ("data:text/html;base64,AAAA", "has the type 'text/html', which is no image"),
    "a nonsense type": ("data:image/png;;base64,AAAA", "which is no image"),
    "url-safe base64": ("data:image/png;base64,AA-_", "not base64"),
    "a stray character": ("data:image/png;base64,AA!A", "not base64"),
    "beyond ASCII": ("data:image/png;base64,AAAä", "not base64"),
    "cut off": ("data:image/png;base64,AAAAA", "not base64"),
    "too much padding": ("data:image/png;base64,AAAA====", "wrong padding"),
    "padding in the middle": ("data:image/png;base64,AA==AAAA", "not base64"),
    "half an escape": ("data:image/png,a%4", "has a %"),
    "no escape": ("data:image/png,%zz", "has a %"),
    "unescaped": ("data:image/png,ä", "beyond ASCII"),
    "base64 too large": ("data:image/png;base64," + "A" * 1368, "holds 0.0 MB; the limit is 0.001024 MB"),
    "escapes too large": ("data:image/png," + "%41" * 1025, "the limit is"),
    "plain too large": ("data:image/png," + "A" * 1025, "the limit is"),
    "escaped base64 too large": ("data:image/png;base64," + "%41" * 1368, "the limit is"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """Every refusal is a 400 that says what is wrong."""
    uri, words = REFUSED[name]
    with pytest.raises(Problem) as caught:
        decode(uri, 1024)
    assert ("invalid_image", 400) == (caught.value.code, caught.value.status)
    assert caught.value.message.startswith("the image's data URI ")
    assert words in caught.value.message


@pytest.mark.parametrize("size", [1022, 1023, 1024])
def test_up_to_the_limit(size: int) -> None:
    """The limit itself is allowed, in every padding."""
    data = b"x" * size
    assert data == decode("data:image/png;base64," + base64.b64encode(data).decode(), 1024)
    assert data == decode("data:image/png;base64," + quote(base64.b64encode(data), safe=""), 1024)


def test_told_apart_from_urls() -> None:
    """The scheme decides, in any case of letters."""
    assert [True, True, False, False] == [is_data_uri(uri) for uri in ("data:,", "Data:x", "http://data:1/", "dat")]

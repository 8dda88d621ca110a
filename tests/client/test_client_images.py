"""The forms of ``input_image``."""

import base64
import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from openkontext.client.images import local_picture
from tests.client.parts import Harness, Script, submitted


def file_of(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), "#336699").save(buffer, kind, **options)
    return buffer.getvalue()


def encode_image(image: Any) -> str:
    """What goes on the wire for a picture that isn't large."""
    picture = local_picture(image)
    return str(image) if picture is None else picture.data_uri()


def decoded(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2], validate=True)


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "webp"])
@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, io.BytesIO])
def test_bytes_become_a_data_uri_of_their_type(kind: str, form: Any) -> None:
    """The type is what the bytes are."""
    data = file_of(kind)
    uri = encode_image(form(data))
    assert (f"data:image/{kind};base64", data) == (uri.partition(",")[0], decoded(uri))


@pytest.mark.parametrize("form", [str, Path])
def test_a_path_is_read(form: Any, tmp_path: Path) -> None:
    """A path that lies about its type doesn't matter."""
    path = tmp_path / "photo.txt"
    path.write_bytes(file_of("jpeg"))
    uri = encode_image(form(path))
    assert ("data:image/jpeg;base64", path.read_bytes()) == (uri.partition(",")[0], decoded(uri))


def test_a_pipe_is_read(tmp_path: Path) -> None:
    """As a shell's `<(…)` names one: it has no size before it is read."""
    path, data = tmp_path / "pipe", file_of("png")
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[data])
    writer.start()
    assert data == decoded(encode_image(path))
    writer.join()


def test_an_open_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    """A file opened in binary mode is read once."""
    path = tmp_path / "photo.png"
    path.write_bytes(file_of("png"))
    with path.open("rb") as file:
        assert path.read_bytes() == decoded(encode_image(file))
        with pytest.raises(ValueError, match="input_image is empty"):
            encode_image(file)


@pytest.mark.parametrize(
    "url", ["http://a.test/x", "https://a.test/x.png", "HTTPS://A.TEST", "data:image/png;base64,AA"]
)
def test_a_url_stays_as_it_is(url: str) -> None:
    """URLs and data URIs are for the server."""
    assert url == encode_image(url)


def test_a_webp_may_have_any_size() -> None:
    """The size in its header is any four bytes, a newline too."""
    assert "data:image/webp;base64" == encode_image(b"RIFF\x0a\x00\x00\x00WEBP").partition(",")[0]


def test_unknown_bytes_go_to_the_server() -> None:
    """It is the server that knows what it can read."""
    assert "data:application/octet-stream;base64,aGVsbG8=" == encode_image(b"hello")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "F", "I", "I;16"])
def test_a_pil_image_of_any_mode_becomes_a_png(mode: str) -> None:
    """PNG is lossless; modes that it lacks become RGB."""
    picture = Image.new(mode, (5, 4))
    copy = Image.open(io.BytesIO(decoded(encode_image(picture))))
    assert ("PNG", (5, 4)) == (copy.format, copy.size)


def test_a_pil_image_keeps_pixels_and_orientation_only() -> None:
    """A photo taken upright looks the same to the server, without what else its EXIF tells."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    picture = Image.open(io.BytesIO(file_of("jpeg", exif=exif)))
    copy = Image.open(io.BytesIO(decoded(encode_image(picture))))
    assert picture.tobytes() == copy.tobytes()
    assert {0x0112: 6} == dict(copy.getexif())


def test_a_missing_file_is_named() -> None:
    """The error is Python's own, names the path and what else would do."""
    with pytest.raises(FileNotFoundError, match=r"no such file: 'nowhere/photo\.jpg'") as caught:
        encode_image("nowhere/photo.jpg")
    assert "nowhere/photo.jpg" == caught.value.filename
    assert "an http(s) URL" in str(caught.value)


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    """Other trouble with a path stays Python's own error too."""
    with pytest.raises(IsADirectoryError):
        encode_image(tmp_path)


UNUSABLE = [None, 7, [b"x"], {"url": "http://a.test"}, io.StringIO("text")]


@pytest.mark.parametrize("value", UNUSABLE, ids=lambda value: type(value).__name__)
def test_anything_else_is_a_type_error(value: object) -> None:
    """The error says what would do."""
    with pytest.raises(TypeError, match=f"a PIL image.*got {type(value).__name__}"):
        encode_image(value)


@pytest.mark.parametrize("method", ["submit_async", "run_sync"])
def test_only_input_image_is_encoded(sdk: Harness, method: str) -> None:
    """Clients encode input_image and leave the caller's own values alone."""
    script = Script(submitted())
    params: dict[str, Any] = {"input_image": b"GIF89a", "prompt": "nowhere/photo.jpg"}
    sdk.call(getattr(sdk.client(script), method), "slug", **params)
    sent = json.loads(script.requests[0].content)
    assert {"input_image": "data:image/gif;base64,R0lGODlh", "prompt": "nowhere/photo.jpg"} == sent
    assert b"GIF89a" == params["input_image"]


def test_a_missing_file_sends_nothing(sdk: Harness) -> None:
    """The error comes before any request."""
    script = Script(submitted())
    with pytest.raises(FileNotFoundError):
        sdk.call(sdk.client(script).run, "slug", input_image="nowhere.png")
    assert [] == script.requests

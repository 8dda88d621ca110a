"""Input pictures: what is refused at submit and why, what is left for the worker, and files of the server's own."""

import base64

import pytest

from tests.gateway.harness import EDIT, PICTURE, SUBMIT, assert_error, data_uri, picture


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("data:image/png;base64,aGVsbG8=", "not a picture"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png;base64", "no comma"),
        ("data:image/png;base64,%%%", "%"),
        ("data:image/png;base64,a", "cut off"),
        ("data:text/html,<b>hi</b>", "text/html"),
        (data_uri(PICTURE[:-20]), "cut off"),
        (data_uri(PICTURE[:40] + b"\0" + PICTURE[41:]), "damaged"),
        (data_uri(picture(40, 40, "BMP"), "image/bmp"), "BMP"),
        (data_uri(picture(410, 100)), "4:1"),
        (data_uri(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "SVG"),
    ],
    ids=lambda value: value[:40],
)
async def test_data_uris_that_are_refused(gateway, image, words):
    """A picture that can't be used is told at submit, with the reason; nothing is kept or charged."""
    response = await gateway.http.post(SUBMIT, json=EDIT | {"input_image": image})
    assert words.lower() in assert_error(response, 400, "invalid_image")["error"].lower()
    assert (gateway.blobs, gateway.balance) == (set(), 10)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_data_uris_that_are_taken(gateway, form):
    """Pictures of the four formats are stored as they came, whatever type they claim."""
    data = picture(form=form)
    await gateway.submit(input_image=data_uri(data, "image/png"))
    assert gateway.services.blobs.get(gateway.worker.take().input["key"]) == data


async def test_a_picture_that_is_too_large(start):
    """A picture has a size limit of its own, in bytes and pixels."""
    gateway = await start(max_image_mb=0.001, max_image_megapixels=0.01)
    large = data_uri(PICTURE + b"\0" * 2000)
    error = assert_error(await gateway.http.post(SUBMIT, json=EDIT | {"input_image": large}), 400, "invalid_image")
    assert "0.001 MB" in error["error"]
    wide = data_uri(picture(200, 100))
    response = await gateway.http.post(SUBMIT, json=EDIT | {"input_image": wide})
    assert "megapixels" in assert_error(response, 400, "invalid_image")["error"]


@pytest.mark.parametrize(
    "image",
    [
        "nonsense",
        "ftp://example.com/a.png",
        "file:///etc/passwd",
        "//example.com/a.png",
        "http://",
        "http://user:password@example.com/a.png",
        "http://example.com/a b.png",
        "https://example.com:99999/a.png",
        "javascript:alert(1)",
        "/files/outputs/x/1.png",
        "https://example.com/" + "a" * 5000,
    ],
)
async def test_addresses_that_are_none(gateway, image):
    """What could never be fetched is told at submit."""
    response = await gateway.http.post(SUBMIT, json=EDIT | {"input_image": image})
    assert "input_image" in assert_error(response, 400, "invalid_parameter")["error"]


@pytest.mark.parametrize("image", ["", "  ", None, 5, ["x"], {"url": "https://example.com/a.png"}])
async def test_pictures_that_are_no_text(gateway, image):
    """The field is one text."""
    response = await gateway.http.post(SUBMIT, json=EDIT | {"input_image": image})
    assert "input_image" in assert_error(response, 400, "invalid_parameter")["error"]


async def test_addresses_are_left_for_the_worker(gateway):
    """A URL is fetched when the job runs, even one that will be refused then."""
    for url in ("https://example.com/a.png?x=1#y", "http://127.0.0.1/a.png"):
        await gateway.submit(input_image=url)
        assert gateway.worker.take().input == {"kind": "url", "url": url}
    assert gateway.blobs == set()


async def test_an_earlier_output(gateway):
    """An output's own address is a picture: copied, so that the earlier request may be erased meanwhile."""
    earlier = await gateway.completed()
    later = (await gateway.submit(input_image=earlier["output"]))["request_id"]
    await gateway.http.delete(f"/v2/requests/{earlier['request_id']}")
    claim = gateway.worker.take()
    assert {"kind": "blob", "key": f"inputs/{later}"} == claim.input
    assert gateway.services.blobs.get(claim.input["key"]) == PICTURE


async def test_an_earlier_output_by_another_name(gateway):
    """The server knows its own files by their signature, whatever name it was reached by."""
    output = (await gateway.completed())["output"].replace("gateway.test", "10.0.0.7:8000")
    await gateway.submit(input_image=output)
    assert gateway.worker.take().input["kind"] == "blob"


async def test_an_earlier_output_behind_a_path(start):
    """A public address with a path of its own is known as well."""
    gateway = await start(public_url="https://example.com/kontext/")
    output = (await gateway.completed())["output"]
    assert output.startswith("https://example.com/kontext/files/outputs/")
    await gateway.submit(input_image=output)
    assert gateway.worker.take().input["kind"] == "blob"


async def test_own_files_that_are_refused(gateway):
    """An address of the server's own that was changed, has expired or leads to nothing is told at submit."""
    first = await gateway.completed()
    output = first["output"]
    changed = [
        output + "0",
        output.replace("1.png", "2.png"),
        output.partition("?")[0],
        output.replace("18000", "19000"),
    ]
    for url in changed:
        response = await gateway.http.post(SUBMIT, json=EDIT | {"input_image": url})
        assert "expired or was changed" in assert_error(response, 400, "invalid_image")["error"]
    await gateway.http.delete(f"/v2/requests/{first['request_id']}")
    response = await gateway.http.post(SUBMIT, json=EDIT | {"input_image": output})
    assert "gone" in assert_error(response, 400, "invalid_image")["error"]
    gateway.clock.advance(3600)
    response = await gateway.http.post(SUBMIT, json=EDIT | {"input_image": output})
    assert "expired" in assert_error(response, 400, "invalid_image")["error"]
    assert gateway.blobs == set()


async def test_base64_as_people_write_it(gateway):
    """Line breaks and missing padding are fine."""
    text = base64.b64encode(PICTURE).decode().rstrip("=")
    wrapped = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    await gateway.submit(input_image=f"DATA:image/png;base64,{wrapped}")
    assert gateway.services.blobs.get(gateway.worker.take().input["key"]) == PICTURE

"""Whatever Pillow can open is edited as a person sees it."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from openkontext.engine.pictures import as_seen, to_image, to_tensor
from tests.engine.pictures import colourful

RED, WHITE, BLACK, GREY = (255, 0, 0), (255, 255, 255), (0, 0, 0), (128, 128, 128)


def reopened(image: Image.Image, kind: str, **options: object) -> Image.Image:
    """The picture as it comes from a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return Image.open(BytesIO(file.getvalue()))


def colour(image: Image.Image) -> object:
    """The first pixel."""
    return image.getpixel((0, 0))


def one_colour(mode: str, value: object) -> Image.Image:
    """A picture of one colour."""
    return Image.new(mode, (32, 32), value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (one_colour("RGB", RED), RED),
        (one_colour("L", 128), GREY),
        (one_colour("1", 1), WHITE),
        (one_colour("RGB", RED).convert("P"), RED),
        (one_colour("CMYK", (0, 255, 255, 0)), RED),
        (one_colour("RGBA", (*RED, 255)), RED),
        (one_colour("RGBA", (*BLACK, 0)), WHITE),
        (one_colour("RGBA", (*BLACK, 127)), GREY),
        (one_colour("LA", (0, 0)), WHITE),
        (one_colour("RGBA", (*BLACK, 0)).convert("PA"), WHITE),
        (one_colour("I;16", 65535), WHITE),
        (one_colour("I;16", 32896), GREY),
        (one_colour("I", 65535), WHITE),
        (one_colour("I;16", 0), BLACK),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else str(value),
)
def test_every_mode_becomes_rgb(image: Image.Image, expected: tuple[int, int, int]) -> None:
    """Palettes, grey, CMYK, 16 bits and transparency (on white) all end as 8-bit RGB."""
    seen = as_seen(image)
    assert ("RGB", expected) == (seen.mode, colour(seen))


def test_sixteen_bit_png() -> None:
    """A 16-bit grey file keeps its shades."""
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    seen = as_seen(reopened(Image.fromarray(ramp), "PNG"))
    assert list(range(256)) == list(np.asarray(seen)[..., 0].ravel())


def test_transparent_palette_png() -> None:
    """A palette file's transparent colour is white."""
    image = one_colour("P", 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert WHITE == colour(as_seen(reopened(image, "PNG", transparency=0)))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(kind: str) -> None:
    """The first frame counts, wherever the file was left at."""
    frames = [one_colour("RGB", RED), one_colour("RGB", BLACK)]
    animation = reopened(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    animation.seek(1)
    assert RED == colour(as_seen(animation))


def test_cmyk_jpeg() -> None:
    """A print shop's file has the colours it shows."""
    seen = as_seen(reopened(one_colour("CMYK", (0, 255, 255, 0)), "JPEG", quality=100))
    assert np.abs(np.asarray(seen, dtype=int) - RED).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation(orientation: int) -> None:
    """All eight orientations come out upright, from a file that stores them turned."""
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # the file is turned the other way than the viewer turns it
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = colourful(48, 32)
    stored = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert upright.tobytes() == as_seen(reopened(stored, "PNG", exif=exif)).tobytes()


def test_caller_keeps_their_picture() -> None:
    """The picture that was given is not changed."""
    image = one_colour("RGBA", (*BLACK, 0))
    as_seen(image)
    assert ("RGBA", (*BLACK, 0)) == (image.mode, colour(image))


def test_tensor_and_back() -> None:
    """A picture survives the way into a tensor and out, every shade of it."""
    shades = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)
    image = Image.fromarray(shades)
    tensor = to_tensor(image, 16, 16)
    assert ((1, 3, 16, 16), -1.0, 1.0) == (tuple(tensor.shape), tensor.min().item(), tensor.max().item())
    assert image.tobytes() == to_image(tensor).tobytes()
    assert (32, 48) == to_image(to_tensor(image, 32, 48)).size


def test_resizing_is_lanczos() -> None:
    """Fine detail is kept as the model was trained to see it."""
    detail = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert detail.resize((48, 32), Image.Resampling.LANCZOS).tobytes() == to_image(to_tensor(detail, 48, 32)).tobytes()

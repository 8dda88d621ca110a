"""The README's picture, made by nano: `python docs/edits.py` writes docs/images/edits.png.

Each row is a sample and what four instructions make of it; nothing is retouched, every edit is the first with its seed.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from openkontext.engine import Engine

ROOT = Path(__file__).parents[1]
EDITS = {
    "tiger.webp": (
        "make it snow",
        "change the background to a beach",
        "add a red apple in the bottom right corner",
        "mirror the picture",
    ),
    "backpack.webp": (
        "Replace the background with a bokeh light effect",
        "replace the backpack with a watermelon",
        "make the backpack blue",
        "make it night",
    ),
}
SIDE, CAPTION, GAP = 256, 44, 8


def main() -> None:
    """Make the picture."""
    engine = Engine.load("nano")
    width = (SIDE + GAP) * 5 - GAP
    sheet = Image.new("RGB", (width, len(EDITS) * (SIDE + CAPTION)), "white")
    for row, (name, prompts) in enumerate(EDITS.items()):
        sample = Image.open(ROOT / "samples" / name)
        pictures = [engine.edit(sample, prompt, seed=42).image for prompt in prompts]
        for column, (picture, text) in enumerate(zip((sample, *pictures), ("the input", *prompts), strict=True)):
            place(sheet, picture, text, column * (SIDE + GAP), row * (SIDE + CAPTION))
    sheet.save(ROOT / "docs" / "images" / "edits.png", optimize=True)


def place(sheet: Image.Image, picture: Image.Image, text: str, left: int, top: int) -> None:
    """One picture with its caption below."""
    sheet.paste(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, top))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if draw.textlength(longer, font) > SIDE:
            lines.append(line)
            longer = word
        line = longer
    draw.multiline_text((left + 2, top + SIDE + 4), "\n".join([*lines, line]), fill="black", font=font, spacing=2)


if __name__ == "__main__":
    main()

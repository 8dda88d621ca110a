"""The playground's form: the picture, the prompt, every parameter of the contract; checked before anything is sent."""

import base64
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from openkontext.contract import EXAMPLE_PROMPT, PARAMETERS
from tests.browser.conftest import Open
from tests.browser.kit import DARK, PHONE, axe, both_schemes, broken_picture, fits, new_key, sample_picture, timeless
from tests.browser.playground import choose, part, stored
from tests.service import Service

pytestmark = pytest.mark.slow

SETTINGS = [parameter for parameter in PARAMETERS if not parameter.required]


def value_of(page: Page, name: str) -> Any:
    """What a parameter is set to, as the tab keeps it for other pages."""
    return stored(page, "openkontext-values")[name]


def test_first_visit_is_one_click_from_an_edit(page: Page) -> None:
    """A sample and the contract's example are there; Run is in sight."""
    expect(part(page, "input-image")).to_have_js_property("naturalWidth", 512)
    expect(part(page, "prompt")).to_have_value(EXAMPLE_PROMPT)
    expect(part(page, "run")).to_be_in_viewport()
    expect(part(page, "input-error")).to_be_hidden()


@pytest.mark.parametrize("parameter", SETTINGS, ids=lambda parameter: parameter.name)
def test_every_parameter_has_a_field_with_its_help(page: Page, parameter: Any) -> None:
    """Set to the default, with the contract's words."""
    field = page.locator(f"[data-parameter={parameter.name}]")
    expect(field).to_contain_text(parameter.help.split(";")[0])
    control = field.locator(f"[name={parameter.name}]")
    if parameter.type == "boolean":
        assert parameter.default == control.is_checked()
    elif parameter.name == "aspect_ratio":
        assert set(parameter.choices) == {each.get_attribute("value") for each in control.all()}
        expect(part(page, f"aspect-{parameter.default}")).to_be_checked()
    else:
        expect(control).to_have_value(str(parameter.default))


WRONG = [
    ("prompt", "   ", "Say what to change: the prompt can’t be blank."),
    ("prompt", "x" * 10_001, "The prompt has 10,001 characters; 10,000 are allowed."),
    ("guidance", "10.5", "Guidance must be a number from 0 to 10."),
    ("guidance", "", "Guidance must be a number from 0 to 10."),
    ("num_inference_steps", "3", "Steps must be an integer from 4 to 50."),
    ("num_inference_steps", "4.5", "Steps must be an integer from 4 to 50."),
    ("seed", "abc", "Seed must be an integer from 0 to 2^63-1."),
    ("seed", "9223372036854775808", "Seed must be an integer from 0 to 2^63-1."),
]


@pytest.mark.parametrize(("name", "text", "words"), WRONG)
def test_a_wrong_value_is_not_sent(page: Page, name: str, text: str, words: str) -> None:
    """The sentence stands at the field, which has the focus; correcting it takes the sentence away."""
    page.on("request", lambda request: sent.append(request.url))
    sent: list[str] = []
    part(page, name).fill(text)
    part(page, "run").click()
    expect(part(page, f"{name}-error")).to_have_text(words)
    expect(part(page, name)).to_be_focused()
    expect(part(page, name)).to_have_attribute("aria-invalid", "true")
    expect(part(page, "result")).to_have_attribute("data-state", "idle")
    assert [] == [url for url in sent if url.endswith("/v2/flux-kontext-dev")]
    part(page, name).fill("5")
    expect(part(page, f"{name}-error")).to_be_hidden()


def test_the_first_of_several_wrong_fields_gets_the_focus(page: Page) -> None:
    """From top to bottom, and all of them are marked."""
    part(page, "guidance").fill("99")
    part(page, "prompt").fill("")
    part(page, "run").click()
    expect(part(page, "prompt")).to_be_focused()
    expect(part(page, "guidance-error")).to_be_visible()
    part(page, "input-clear").click()
    part(page, "run").click()
    expect(part(page, "file-input")).to_be_focused()
    expect(part(page, "input-error")).to_have_text("Choose a picture to edit.")


def test_a_slider_and_its_number_agree(page: Page) -> None:
    """Either moves the other."""
    slider = page.locator("[data-parameter=num_inference_steps] [data-slider]")
    part(page, "num_inference_steps").fill("20")
    expect(slider).to_have_value("20")
    slider.press("ArrowRight")
    expect(part(page, "num_inference_steps")).to_have_value("21")
    assert 21 == value_of(page, "num_inference_steps")


def test_a_random_seed_is_a_blank_one(page: Page) -> None:
    """Ticking blanks the field, unticking brings the last number back, typing unticks."""
    part(page, "seed").fill("7")
    part(page, "seed-random").check()
    expect(part(page, "seed")).to_have_value("")
    assert value_of(page, "seed") is None
    part(page, "seed-random").uncheck()
    expect(part(page, "seed")).to_have_value("7")
    part(page, "seed").fill("")
    expect(part(page, "seed-random")).to_be_checked()
    part(page, "seed").fill("9223372036854775807")
    expect(part(page, "seed-random")).not_to_be_checked()
    assert "9223372036854775807" == value_of(page, "seed")


def test_quality_is_for_formats_that_have_one(page: Page) -> None:
    """Off for png, on for webp and jpg."""
    expect(part(page, "output_quality")).to_be_disabled()
    for name in ("webp", "jpg"):
        part(page, "output_format").select_option(name)
        expect(part(page, "output_quality")).to_be_enabled()


def test_what_differs_from_the_default_is_marked_and_reset(page: Page) -> None:
    """The mark says the default; Reset brings all settings back and leaves the prompt."""
    expect(part(page, "reset")).to_be_hidden()
    part(page, "prompt").fill("make it snow")
    part(page, "guidance").fill("3")
    part(page, "aspect-16:9").check(force=True)
    marks = page.locator("[data-changed]:not([hidden])")
    expect(marks).to_have_text(["(changed; default: match)", "(changed; default: 7)"])
    expect(part(page, "reset")).to_have_text("Reset 2 changes")
    part(page, "reset").click()
    expect(marks).to_have_count(0)
    expect(part(page, "guidance")).to_have_value("7")
    expect(part(page, "aspect-match_input_image")).to_be_checked()
    expect(part(page, "prompt")).to_have_value("make it snow")


def test_values_and_picture_survive_a_reload(page: Page, picture: Path) -> None:
    """Everything is as it was, the uploaded picture too."""
    with page.expect_response("**/upload-asset"):
        choose(page, picture)
    part(page, "prompt").fill("make it night")
    part(page, "output_format").select_option("jpg")
    part(page, "output_quality").fill("70")
    part(page, "aspect-4:3").check(force=True)
    page.wait_for_function("() => JSON.parse(sessionStorage['openkontext-input']).url")
    page.reload()
    expect(part(page, "prompt")).to_have_value("make it night")
    expect(part(page, "output_quality")).to_have_value("70")
    expect(part(page, "aspect-4:3")).to_be_checked()
    expect(part(page, "input-image")).to_have_js_property("naturalWidth", 300)
    expect(page.locator(".input-name")).to_have_text(picture.name)


def test_examples_follow_the_sample(page: Page) -> None:
    """Choosing a sample changes picture and examples; an example becomes the prompt."""
    tiger = page.locator("[data-sample=tiger]")
    tiger.click()
    expect(tiger).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".input-name")).to_have_text("tiger.webp")
    part(page, "prompt-example").get_by_text("make it snow").click()
    expect(part(page, "prompt")).to_have_value("make it snow")
    expect(part(page, "prompt")).to_be_focused()


def test_the_prompt_is_counted_near_its_limit(page: Page) -> None:
    """Characters as the API counts them: one that is two to a string is one."""
    counter = page.locator("#prompt-count")
    part(page, "prompt").fill("x" * 8_000)
    expect(counter).to_have_text("")
    part(page, "prompt").fill("😀" * 9_500)
    expect(counter).to_have_text("9,500 of 10,000")


def _text(folder: Path) -> Path:
    (folder / "notes.txt").write_text("no picture")
    return folder / "notes.txt"


def _large(folder: Path) -> Path:
    path = sample_picture(folder, name="large.png")
    with path.open("r+b") as file:
        file.truncate(21_000_000)
    return path


def _long(folder: Path) -> Path:
    return sample_picture(folder, 500, 100, name="long.png")


def _many_pixels(folder: Path) -> Path:
    Image.new("1", (8000, 8000)).save(folder / "many.png")
    return folder / "many.png"


BAD = {
    _text: "Notes.txt can’t be used: choose a jpeg, png, gif or webp.",
    broken_picture: "This file can’t be read as a picture; it may be damaged.",
    _large: "The picture has 21.0 MB; at most 20 MB can be used. Make it smaller first.",
    _long: "The picture is 500 × 100: sides can be up to 4:1. Crop it first.",
    _many_pixels: "The picture has 64 megapixels; at most 50 can be used. Make it smaller first.",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_bad_picture_is_refused_where_it_was_given(page: Page, tmp_path: Path, make: Any) -> None:
    """In words, before anything is sent; the picture there was stays."""
    choose(page, make(tmp_path), fails=True)
    expect(part(page, "input-error")).to_have_text(BAD[make])
    expect(page.locator(".input-name")).to_have_text("backpack.webp")
    page.locator("[data-sample=tiger]").click()
    expect(part(page, "input-error")).to_be_hidden()


def test_a_damaged_picture_that_the_browser_reads_is_refused_by_the_server(
    page: Page, tmp_path: Path, log: Any
) -> None:
    """A jpeg that was cut off: the server's words stand at the picture."""
    log.allow("status of 400")
    path = sample_picture(tmp_path, 600, 400, name="cut.jpg")
    path.write_bytes(path.read_bytes()[:-400])
    choose(page, path, fails=True)
    expect(part(page, "input-error")).to_contain_text("The image")


def test_a_picture_is_dropped_anywhere(page: Page, picture: Path) -> None:
    """While a file is dragged over the page the dropzone says so; the drop is taken wherever it falls."""
    transfer = _transfer(page, picture)
    with timeless(page):
        page.dispatch_event("footer", "dragover", {"dataTransfer": transfer})
        expect(page.locator(".drop-now")).to_be_visible()
        page.dispatch_event("footer", "drop", {"dataTransfer": transfer})
        expect(page.locator(".drop-now")).to_be_hidden()
    expect(page.locator(".input-name")).to_have_text(picture.name)
    expect(page.locator("[data-size]")).to_contain_text("300 × 200 · ")


def _transfer(page: Page, picture: Path) -> Any:
    data = base64.b64encode(picture.read_bytes()).decode()
    return page.evaluate_handle(
        """([name, data]) => {
          const transfer = new DataTransfer();
          const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
          transfer.items.add(new File([bytes], name, { type: "image/webp" }));
          return transfer;
        }""",
        [picture.name, data],
    )


_PASTE = """([transfer, text]) => {
  const data = transfer ?? new DataTransfer();
  if (text) data.setData("text/plain", text);
  const paste = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  document.activeElement.dispatchEvent(paste);
}"""


def test_a_picture_is_pasted(page: Page, picture: Path) -> None:
    """As an image; as a data URL, where nothing is typed into; text that is pasted into the prompt is the prompt's."""
    part(page, "prompt").focus()
    page.evaluate(_PASTE, [_transfer(page, picture), ""])
    expect(page.locator(".input-name")).to_have_text(picture.name)
    uri = f"data:image/webp;base64,{base64.b64encode(picture.read_bytes()).decode()}"
    page.evaluate(_PASTE, [None, uri])
    expect(page.locator(".input-name")).to_have_text(picture.name)
    page.locator("#main").focus()
    page.evaluate(_PASTE, [None, uri])
    expect(page.locator(".input-name")).to_have_text("pasted.webp")


def test_a_picture_is_named_by_its_address(page: Page) -> None:
    """It is shown by name, since the page itself loads nothing from elsewhere; a word is refused."""
    part(page, "address-open").click()
    expect(part(page, "address")).to_be_focused()
    part(page, "address").fill("photo.jpg")
    part(page, "address").press("Enter")
    expect(part(page, "input-error")).to_contain_text("beginning with https://")
    part(page, "address").fill("https://pictures.test/a/photo.jpg")
    part(page, "address-use").click()
    expect(page.locator("[data-address]")).to_have_text("https://pictures.test/a/photo.jpg")
    expect(part(page, "input-image")).to_be_hidden()
    expect(part(page, "address-open")).to_be_focused()


@pytest.mark.parametrize("address", ["https://pictures.test/100%.jpg", "https://pictures.test/%ff.jpg"])
def test_an_address_with_a_percent_that_is_no_escape(page: Page, address: str) -> None:
    """It is the address of a picture as well, and its name is as it is written."""
    page.locator("#main").focus()
    page.evaluate(_PASTE, [None, address])
    expect(page.locator("[data-address]")).to_have_text(address)
    expect(page.locator(".input-name")).to_have_text(address.rpartition("/")[2])


def test_an_address_that_leads_nowhere(page: Page) -> None:
    """It is refused in words."""
    part(page, "address-open").click()
    part(page, "address").fill("http://[::1")
    part(page, "address").press("Enter")
    expect(part(page, "input-error")).to_contain_text("beginning with https://")


def test_what_it_would_cost_is_there_before_running(page: Page) -> None:
    """Price and size of the output, which follow the settings."""
    expect(part(page, "estimate")).to_contain_text("0.04 credits · 128 × 128")
    part(page, "variations-count").select_option("3")
    part(page, "aspect-16:9").check(force=True)
    expect(part(page, "estimate")).to_contain_text("0.12 credits · 176 × 96")


def test_a_key_that_may_not_skip_the_checker_is_told(open_page: Open, service: Service) -> None:
    """The tick is off, with the reason beside it; for one that may it is on."""
    allowed = open_page(key=new_key(service, may_disable_safety=True))
    expect(part(allowed, "disable_safety_checker")).to_be_enabled()
    refused = open_page(key=new_key(service, may_disable_safety=False))
    expect(part(refused, "disable_safety_checker")).to_be_disabled()
    expect(refused.get_by_text("This key may not.")).to_be_visible()


def test_code_follows_the_form(page: Page) -> None:
    """The dialog has the prompt that is there now, and gives the focus back."""
    part(page, "prompt").fill("make it rain")
    part(page, "code-open").click()
    expect(part(page, "code-dialog")).to_contain_text("make it rain")
    expect(part(page, "code-dialog")).to_contain_text("backpack.webp")
    page.keyboard.press("Escape")
    expect(part(page, "code-dialog")).to_be_hidden()
    expect(part(page, "code-open")).to_be_focused()


def test_a_phone_has_the_settings_folded(open_page: Open) -> None:
    """Nothing is too wide; a wrong value in a folded setting unfolds them."""
    page = open_page(**PHONE)
    fits(page)
    expect(part(page, "guidance")).to_be_hidden()
    expect(part(page, "run")).to_be_in_viewport()
    page.get_by_text("More settings").click()
    part(page, "guidance").fill("11")
    page.get_by_text("More settings").click()
    expect(part(page, "guidance")).to_be_hidden()
    part(page, "run").click()
    expect(part(page, "guidance")).to_be_focused()
    fits(page)


@pytest.mark.parametrize("screen", [{}, PHONE], ids=["desk", "phone"])
def test_everybody_can_use_it(open_page: Open, screen: dict[str, Any]) -> None:
    """No serious violation of accessibility, in light and dark, with errors shown and settings changed."""
    page = open_page(**screen)
    if screen:
        page.get_by_text("More settings").click()
    part(page, "guidance").fill("11")
    part(page, "seed-random").check()
    part(page, "run").click()
    expect(part(page, "guidance-error")).to_be_visible()
    for _ in both_schemes(page):
        axe(page)


_SHIFTS = """() => new Promise((resolve) => {
  new PerformanceObserver((list) => resolve(list.getEntries().map(({ value }) => value)))
    .observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => resolve([])));
})"""


@pytest.mark.parametrize("screen", [{}, PHONE | DARK], ids=["desk", "phone"])
def test_nothing_shifts_when_the_scripts_start(open_page: Open, screen: dict[str, Any]) -> None:
    """From the first paint until the estimate and the history are there."""
    page = open_page(**screen)
    expect(part(page, "estimate")).to_contain_text("×")
    assert sum(page.evaluate(_SHIFTS)) < 0.01

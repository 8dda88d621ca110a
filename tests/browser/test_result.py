"""The result: from its place in the queue to before and after, what there is to know of it, and what went wrong."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open, Start
from tests.browser.edits import Past
from tests.browser.kit import DARK, PHONE, STILL, axe, both_schemes, fits, held, running_step
from tests.browser.playground import cancel, choose, expect_state, part, quickly, run, shown_request
from tests.service import Service

pytestmark = pytest.mark.slow


@pytest.fixture
def shown(open_page: Open, past: Past) -> Page:
    """The page with an edit that was made before: of a square picture, to 16:9. It scrolls there at once."""
    past.edit("make it snow", aspect_ratio="16:9")
    return show(open_page(key=past.key, **STILL))


def show(page: Page) -> Page:
    """Choose the newest edit of the history."""
    part(page, "history-item").first.click()
    expect_state(page, "done")
    return page


def split(page: Page) -> int:
    """How many percent of the picture are shown as they were before."""
    return int(part(page, "compare-slider").input_value())


def drag(page: Page, start: float, end: float) -> None:
    """Press the mouse on the picture, at a share of its width, and let go at another."""
    box = part(page, "before-after").bounding_box()
    assert box
    page.mouse.move(box["x"] + start * box["width"], box["y"] + box["height"] / 3)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()


def said(page: Page) -> Locator:
    """What is told to those who listen."""
    return page.locator("#announcer")


def test_from_the_queue_to_the_result(page: Page, service: Service, past: Past, picture: Path) -> None:
    """Each state in words, said once; the picture that was chosen is there all the time, in one and the same box."""
    choose(page, picture)
    quickly(page)
    with held(service):
        past.submit("add fog")
        past.submit("make it night")
        run(page, "make it snow")
        expect(part(page, "queue-position")).to_have_text(
            re.compile(r"\d+ before yours in the queue|Next in the queue")
        )
        expect_state(page, "queued")
        expect(page.locator(".live-input")).to_be_visible()
        box = page.locator(".live").bounding_box()
        expect(said(page)).to_contain_text("in the queue")
    expect_state(page, "done")
    expect(said(page)).to_contain_text("Done: make it snow")
    assert box == part(page, "before-after").bounding_box()
    assert part(page, "result-image").evaluate("(node) => node.naturalWidth") > 0


def test_its_place_in_the_queue_in_words(open_page: Open, service: Service, past: Past) -> None:
    """Of one that others wait before; it is found again by whoever opens the page."""
    with held(service):
        for prompt in ("add fog", "make it night", "make it snow"):
            past.submit(prompt)
        page = open_page(key=past.key)
        expect(part(page, "queue-position")).to_have_text(re.compile("[2-9] before yours in the queue"))
        expect_state(page, "queued")


def test_another_is_looked_at_while_one_waits(open_page: Open, service: Service, past: Past) -> None:
    """With the picture that it was made from, not that of the one under way, which is followed all the same."""
    past.edit("add fog")
    page = open_page(key=past.key)
    quickly(page)
    with held(service):
        run(page, "make it snow")
        expect(part(page, "history-item")).to_have_count(2)
        part(page, "history-item").filter(has_text="add fog").click()
        expect_state(page, "done")
        expect(page.locator(".before img")).to_have_attribute("src", re.compile("^/files/inputs/"))
        expect(page.locator(".result-prompt")).to_have_text("add fog")
    expect(part(page, "history-item").filter(has_text="make it snow")).to_have_attribute("data-state", "done")
    expect(page.locator(".result-prompt")).to_have_text("add fog")


# What is told of a running edit, all at one moment: a step that was under way may still be told of.
_LIVE = """() => {
  const part = (name) => document.querySelector(`[data-testid="${name}"]`);
  const soft = document.querySelector(".live").style.getPropertyValue("--soft");
  return [part("queue-position").innerText, part("progress").value, soft];
}"""


def test_steps_previews_and_cancelling(own_service: Start, open_page: Open, slow: Path) -> None:
    """The bar and its words agree; a preview is there, less blurred with each step; cancelled is calm and free."""
    own = own_service(model=slow)
    page = open_page(url=own.url)
    run(page, "make it snow", num_inference_steps="50")
    with held(own.running, step=1):
        expect(part(page, "preview")).to_be_visible()
    # How much time is left is known by the second step that is told of.
    with held(own.running, step=running_step(own.running) + 1):
        expect_state(page, "processing")
        expect(part(page, "queue-position")).to_have_text(re.compile(r"Step \d+ of 50"))
        words, progress, softness = page.evaluate(_LIVE)
        step = int(re.findall(r"\d+", words)[0])
        assert step / 50 == pytest.approx(progress)
        assert 1 - step / 50 == pytest.approx(float(softness), abs=0.006)
        expect(part(page, "eta")).to_have_text(re.compile(r"about .* left"))
        expect(part(page, "preview")).to_have_attribute("src", re.compile("^data:image/"))
        cancel(page, "result-cancel")
    expect_state(page, "failed")
    expect(part(page, "result-error")).to_have_attribute("data-kind", "info")
    expect(part(page, "result-error")).to_contain_text("Nothing was charged.")
    part(page, "retry").click()
    with held(own.running, step=1):
        expect(part(page, "preview")).to_be_visible()
        cancel(page, "result-cancel")
    expect_state(page, "failed")


def test_before_and_after_by_mouse_and_keyboard(shown: Page) -> None:
    """The mouse drags anywhere on the picture; the arrows move what then has the focus."""
    assert 50 == split(shown)
    drag(shown, 0.9, 0.25)
    assert 25 == split(shown)
    expect(part(shown, "compare-slider")).to_be_focused()
    expect(part(shown, "compare-slider")).to_have_attribute("aria-valuetext", "25 % before, 75 % after")
    shown.keyboard.press("ArrowRight")
    assert 26 == split(shown)
    drag(shown, 0.5, 1.5)
    assert 100 == split(shown)
    shown.keyboard.press("Home")
    assert 0 == split(shown)
    clip = "(node) => getComputedStyle(node).clipPath"
    assert "inset(0px 0px 0px 0%)" == shown.locator(".comparison .after").evaluate(clip)


def test_before_and_after_by_touch(open_page: Open, past: Past) -> None:
    """A tap moves the line to where it was."""
    past.edit("make it snow")
    page = show(open_page(key=past.key, **PHONE, **STILL))
    part(page, "before-after").scroll_into_view_if_needed()
    box = part(page, "before-after").bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    assert 75 == split(page)


def test_both_pictures_are_whole_in_one_box(shown: Page) -> None:
    """The box has the shape of what was made; the square it was made from is contained in it."""
    box = part(shown, "before-after").bounding_box()
    assert box
    assert 176 / 96 == pytest.approx(box["width"] / box["height"], rel=0.01)
    for side in ("before", "after"):
        image = shown.locator(f".comparison .{side} img")
        assert "contain" == image.evaluate("(node) => getComputedStyle(node).objectFit")
        assert box == image.bounding_box()


def test_only_what_was_made(shown: Page) -> None:
    """The picture before, the line and the words are gone; and come back."""
    part(shown, "view-after").check()
    expect(part(shown, "compare-slider")).to_be_hidden()
    expect(shown.locator(".before img")).to_be_hidden()
    expect(part(shown, "result-image")).to_be_visible()
    part(shown, "view-compare").check()
    expect(shown.locator(".before img")).to_be_visible()


def test_the_facts(shown: Page, past: Past) -> None:
    """As the API has them."""
    metrics = past.body(shown_request(shown))["metrics"]
    expect(part(shown, "result-seed")).to_have_text("42")
    expect(part(shown, "result-cost")).to_have_text(f"{metrics['cost']} credits")
    expect(part(shown, "result-time")).to_have_text(re.compile(r"^\d[\d.]* s"))
    expect(shown.locator(".facts")).to_contain_text("176 × 96 px")
    expect(shown.locator(".facts")).to_contain_text("Guidance7")
    shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.get_by_label("Copy the seed").click()
    expect(said(shown)).to_contain_text("Copied")
    assert "42" == shown.evaluate("navigator.clipboard.readText()")


def test_the_file(shown: Page, past: Past) -> None:
    """It is downloaded under the name that the API gives it, byte by byte."""
    with shown.expect_download() as download:
        part(shown, "download").click()
    body = past.body(shown_request(shown))
    assert body["images"][0]["file_name"] == download.value.suggested_filename
    assert past.client.get(body["output"]).content == Path(download.value.path()).read_bytes()


def test_full_size(shown: Page) -> None:
    """Fitted into the window, or pixel by pixel; Escape closes it, and the focus is back."""
    part(shown, "full-size").focus()
    shown.keyboard.press("Enter")
    picture = part(shown, "full-size-dialog").locator("img")
    expect(picture).to_be_visible()
    fitted = picture.bounding_box()
    assert fitted
    assert fitted["width"] > 1000
    part(shown, "full-size-scale").press("Enter")
    expect(part(shown, "full-size-scale")).to_have_attribute("aria-pressed", "true")
    own = picture.bounding_box()
    assert own
    assert (176, 96) == (own["width"], own["height"])
    axe(shown, inside="dialog[open]")
    shown.keyboard.press("Escape")
    expect(part(shown, "full-size")).to_be_focused()


def test_keeping_it(shown: Page, past: Past) -> None:
    """It says until when it lives, and once it is kept that it stays; the server knows, and so does a reload."""
    expect(shown.locator(".result-life")).to_contain_text(re.compile(r"It is erased in 5\d minutes"))
    part(shown, "pin").click()
    expect(shown.locator(".result-life")).to_have_text("It stays until you erase it.")
    expect(part(shown, "pin")).to_have_attribute("aria-pressed", "true")
    shown.reload()
    expect(part(shown, "pin")).to_have_attribute("aria-pressed", "true")
    assert past.client.get("/v2/requests").json()["requests"][0]["pinned"]
    part(shown, "pin").click()
    expect(shown.locator(".result-life")).to_contain_text("unless you keep it")


def test_warnings_of_the_result(open_page: Open, past: Past) -> None:
    """A prompt that was cut is said to be."""
    past.edit("make it snow " * 700)
    page = show(open_page(key=past.key))
    expect(page.locator(".result-warnings")).to_contain_text("prompt")


def test_the_safety_checker_says_what_it_takes_for_what(page: Page) -> None:
    """The stage, the category and how sure it is; what to do, and that it is free."""
    quickly(page)
    run(page, "a naked woman")
    expect_state(page, "failed")
    expect(part(page, "error-code")).to_have_text("blocked")
    expect(part(page, "result-error")).to_contain_text(re.compile("takes the prompt for “.+”, almost certainly .score"))
    expect(part(page, "result-error")).to_contain_text("Say it in other words. Nothing was charged.")
    expect(said(page)).to_contain_text("Stopped by the safety checker")
    axe(page, inside="[data-testid=result]")


FAILURES: list[tuple[dict[str, Any], str, str]] = [
    ({"code": "cancelled", "message": "cancelled"}, "Cancelled", "Nothing was charged."),
    ({"code": "insufficient_credits", "message": "the balance is 0"}, "Not enough credits", "The balance is 0."),
    ({"code": "queue_timeout", "message": "no worker"}, "No worker was free in time", "Nothing was charged."),
    ({"code": "worker_lost", "message": "3 died"}, "The worker was lost", "3 died. It stopped"),
    ({"code": "inference_failed", "message": "no memory"}, "The model couldn't make this edit", "No memory."),
    ({"code": "rate_limited", "message": "too many", "retryAfter": 12}, "That was fast", "Try again in 12 s."),
    ({"code": "offline", "message": "it's away"}, "The server can't be reached", "then try again."),
    ({"code": "never_heard_of", "message": "odd"}, "That didn't work", "Odd. Nothing was charged."),
    (
        {"code": "blocked", "moderation": {"stage": "input", "category": "nsfw", "score": 0.62, "threshold": 0.5}},
        "Stopped by the safety checker",
        "It takes the picture you gave for “nsfw”, probably (score 0.62; less than 0.5 would pass). Choose another",
    ),
]


_EXPLAIN = """async ([folder, errors]) => {
  const { explain } = await import(`${folder}/js/failures.js`);
  return errors.map(explain);
}"""


def test_what_went_wrong_in_words(page: Page) -> None:
    """By its code: what it is called, what the server said, what to do; only what was asked for is no alarm."""
    folder = page.locator("html").get_attribute("data-assets")
    explained = page.evaluate(_EXPLAIN, [folder, [error for error, *_ in FAILURES]])
    for (error, title, words), found in zip(FAILURES, explained, strict=True):
        assert title == found["title"]
        assert words in f"{found['what']} {found['hint']}"
        assert (error["code"] == "cancelled") == found["calm"]


@pytest.mark.parametrize("screen", [{}, PHONE | DARK], ids=["desk", "phone"])
def test_everybody_can_use_the_result(open_page: Open, past: Past, screen: dict[str, Any]) -> None:
    """No serious violation in light or dark, and nothing wider than the screen."""
    past.edit("make it snow", aspect_ratio="21:9")
    page = show(open_page(key=past.key, **screen))
    fits(page)
    for _ in both_schemes(page):
        axe(page)


def test_nothing_moves_that_nobody_moved(open_page: Open, past: Past) -> None:
    """From Run on, the parts of the result stay where they are, until it is there and after it."""
    past.edit("make it night")
    page = open_page(key=past.key)
    quickly(page)
    page.evaluate(_WATCH_SHIFTS)
    run(page, "make it snow")
    expect_state(page, "done")
    assert [] == [shift for shift in page.evaluate("() => window.shifts") if shift[0] > 0.001]


_WATCH_SHIFTS = """() => {
  window.shifts = [];
  const part = ({ node }) => (node?.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest?.("#result");
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      const moved = sources.filter(part).map(({ node }) => node.className ?? node.textContent);
      if (!hadRecentInput && moved.length) window.shifts.push([value, ...moved]);
    }
  }).observe({ type: "layout-shift" });
}"""

"""The playground by keyboard alone: each thing is reached by Tab, shows its focus, and never loses it."""

from playwright.sync_api import Page, expect

from tests.browser.kit import held, tab_to, timeless
from tests.browser.playground import expect_queued, expect_state, part
from tests.service import Service


def focused(page: Page) -> str:
    """The data-testid of the element that has the focus."""
    return str(page.evaluate("() => document.activeElement.dataset.testid"))


def test_an_edit_and_the_next_one(page: Page) -> None:
    """A sample, the prompt, a shape, the steps; Run; then go on from the result."""
    tab_to(page, page.locator("[data-sample=tiger]"))
    page.keyboard.press("Space")
    expect(page.locator(".input-name")).to_have_text("tiger.webp")
    tab_to(page, part(page, "prompt"))
    page.keyboard.press("Control+a")
    page.keyboard.type("make it snow")
    tab_to(page, part(page, "aspect-match_input_image"))
    page.keyboard.press("ArrowRight")
    expect(part(page, "aspect-1:1")).to_be_checked()
    tab_to(page, page.locator("[data-parameter=num_inference_steps] [data-slider]"))
    page.keyboard.press("Home")
    expect(part(page, "num_inference_steps")).to_have_value("4")
    tab_to(page, part(page, "run"))
    page.keyboard.press("Enter")
    expect_state(page, "done")
    assert "run" == focused(page)
    tab_to(page, part(page, "use-as-input"))
    page.keyboard.press("Enter")
    expect(part(page, "prompt")).to_be_focused()
    page.keyboard.type("make it night")
    page.keyboard.press("Control+Enter")
    expect(part(page, "history")).to_contain_text("make it night")
    expect_state(page, "done")
    assert "prompt" == focused(page)


def test_the_focus_follows_run_to_cancel_and_back(page: Page, service: Service) -> None:
    """It is where the button was, and a key that is held down cancels nothing."""
    with held(service):
        tab_to(page, part(page, "run"))
        with timeless(page):
            page.keyboard.press("Enter")
            expect(part(page, "cancel")).to_be_focused()
            page.keyboard.press("Enter")
            expect(part(page, "cancel")).to_have_text("Cancel")
            expect_queued(page)
            page.clock.run_for(650)
            page.keyboard.press("Enter")
            expect_state(page, "failed")
    expect(part(page, "run")).to_be_focused()


def test_a_removed_picture_and_a_reset_leave_the_focus_somewhere(page: Page) -> None:
    """On the picker, and on the first setting, since the buttons themselves are gone."""
    tab_to(page, part(page, "input-clear"))
    page.keyboard.press("Enter")
    assert "file-input" == focused(page)
    tab_to(page, part(page, "guidance"))
    page.keyboard.press("ArrowUp")
    tab_to(page, part(page, "reset"), backwards=True)
    page.keyboard.press("Enter")
    assert "aspect-match_input_image" == focused(page)

"""The account page as a whole: for everyone, on every screen, without a jump."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.account import fail, request_row, rows
from tests.browser.conftest import Open
from tests.browser.edits import Past
from tests.browser.kit import PHONE, axe, both_schemes, fits, tab_to
from tests.receivers import receiving
from tests.service import Service, eventually

pytestmark = pytest.mark.slow

PARTS = ("overview", "requests", "keys", "webhooks")
# The sum of the shifts that nobody asked for (web.dev/cls); below 0.1 is called good.
SHIFTS = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
})"""


@pytest.fixture(scope="module")
def past(service: Service) -> Iterator[Past]:
    """An account with something in each part of the page."""
    past = Past(service, "page")
    with receiving() as receiver:
        past.client.post("/v2/webhooks", json={"url": receiver.url})
        past.edit("make it snow")
        fail(past)
        # Else the page would look again and again, also while it is measured.
        eventually(lambda: ["delivered"] * 2 == states(past))
        yield past
    past.client.close()


def states(past: Past) -> list[str]:
    """How the deliveries stand."""
    return [each["state"] for each in past.client.get("/v2/webhooks/deliveries").json()["deliveries"]]


def open_part(open_page: Open, past: Past, part: str, **screen: object) -> Page:
    """A part of the page, once it is filled."""
    page = open_page(f"/account#{part}", key=past.key, **screen)
    filled = {"overview": rows(page, "ledger"), "requests": page.get_by_test_id("request"), "keys": rows(page, "keys")}
    expect(filled.get(part, rows(page, "deliveries")).nth(1)).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)
    return page


@pytest.mark.parametrize("part", PARTS)
def test_everyone_can_use_it(open_page: Open, past: Past, part: str) -> None:
    """No serious violation in either scheme, with the details and dialogs open too."""
    page = open_part(open_page, past, part)
    for summary in page.locator("summary:visible").all():
        summary.click()
    for _ in both_schemes(page):
        axe(page)
    for opener in ("key-create", "key-revoke", "delete"):
        if page.get_by_test_id(opener).first.is_visible():
            page.get_by_test_id(opener).first.click()
            for _ in both_schemes(page):
                axe(page)
            page.keyboard.press("Escape")


@pytest.mark.parametrize("part", PARTS)
def test_it_fits_a_phone(open_page: Open, past: Past, part: str) -> None:
    """Nothing is wider than the screen."""
    fits(open_part(open_page, past, part, **PHONE))


@pytest.mark.parametrize("part", PARTS)
def test_nothing_jumps(open_page: Open, past: Past, part: str) -> None:
    """What is loaded has its place before it is there."""
    page = open_part(open_page, past, part)
    assert page.evaluate(SHIFTS) < 0.01


def test_by_keyboard_alone(open_page: Open, past: Past) -> None:
    """From the top to a part, through its rows, into a question and back; the focus is always seen."""
    page = open_part(open_page, past, "overview")
    tab_to(page, page.get_by_role("tab", name="Overview"))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("request")).to_have_count(2)
    last = page.get_by_test_id("request").last
    tab_to(page, last.get_by_test_id("delete"))
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("confirm-no")).to_be_focused()
    page.keyboard.press("Escape")
    expect(last.get_by_test_id("delete")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(request_row(page, str(last.get_attribute("data-request"))).locator("dl")).to_be_visible()

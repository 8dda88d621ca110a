"""The account page as tests see it: opened at one of its parts, with a history that the test made."""

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.browser.edits import Past

# Nobody listens there: an edit of a picture from there fails at once.
NOWHERE = "http://127.0.0.1:9/a.png"
WORDS = "<img src=x onerror=alert(1)> & \"quotes\" 'too'"

OpenPart = Callable[..., Page]


def section(page: Page, name: str) -> Locator:
    """A section by its heading."""
    return page.get_by_role("region", name=name, exact=True)


def rows(page: Page, table: str) -> Locator:
    """The rows of a table, without its head."""
    return page.get_by_test_id(table).locator("tbody tr")


def request_row(page: Page, request_id: str) -> Locator:
    """A request of the history."""
    return page.locator(f'[data-testid="request"][data-request="{request_id}"]')


def answer(page: Page, *, yes: bool) -> None:
    """Answer the question that is asked before what can't be undone."""
    expect(page.get_by_test_id("confirm")).to_be_visible()
    page.get_by_test_id("confirm-yes" if yes else "confirm-no").click()
    expect(page.get_by_test_id("confirm")).to_be_hidden()


def fail(past: Past, prompt: str = "make it fail") -> str:
    """An edit that has failed by `fetch_failed`; its id."""
    return past.edit(prompt, input_image=NOWHERE)

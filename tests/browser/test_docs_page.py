"""The reference at /docs: whole, found by searching, readable on a phone and without scripts."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from openkontext.contract import PARAMETERS
from tests.browser.conftest import Open
from tests.browser.kit import PHONE, axe, both_schemes, fits, tab_to, timeless
from tests.service import Service

pytestmark = pytest.mark.slow


@pytest.fixture
def docs(open_page: Open) -> Page:
    """The reference, at a desk."""
    return open_page("/docs")


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    """What the reference is made of."""
    return httpx.get(f"{service.url}/openapi.json", timeout=60).json()


def visible(page: Page) -> int:
    """How many operations are shown."""
    return page.get_by_test_id("operation").filter(visible=True).count()


def routes(page: Page) -> list[str]:
    """Method and path of the operations that are shown."""
    return page.get_by_test_id("operation").filter(visible=True).locator(".route").all_inner_texts()


def test_every_operation_is_there(docs: Page, document: dict[str, Any]) -> None:
    """Each method of each path of the document is told once, with every parameter and field of its body."""
    expected = [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]
    assert sorted(expected) == sorted(routes(docs))
    names = docs.locator("#post-v2-slug .fields > li > code:first-child").all_inner_texts()
    assert set(names) > {parameter.name for parameter in PARAMETERS}


def test_every_link_leads_somewhere(docs: Page) -> None:
    """Each address within the page is that of something, and no two things have the same."""
    lost = docs.evaluate("""() => [...document.querySelectorAll('a[href^="#"]')]
      .map((link) => link.hash.slice(1)).filter((id) => !document.getElementById(id))""")
    assert [] == lost
    ids = docs.evaluate("() => [...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert sorted(set(ids)) == sorted(ids)


def test_every_error_code_is_told(docs: Page, document: dict[str, Any]) -> None:
    """Each code that the document knows has a line of the table, and operations lead there by status."""
    codes = document["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    assert codes == sorted(docs.locator("#errors tbody th").all_inner_texts())
    docs.locator("#post-v2-slug .failures a", has_text="406").click()
    expect(docs.locator("#e-406")).to_be_in_viewport()
    expect(docs.locator("#e-406")).to_contain_text("insufficient_credits")


def test_searching_by_keyboard(docs: Page) -> None:
    """A slash goes to the search; it narrows page and contents, Enter goes to the first, Escape shows all again."""
    whole = visible(docs)
    docs.keyboard.press("/")
    search = docs.get_by_test_id("docs-search")
    expect(search).to_be_focused()
    docs.keyboard.type("redeliver")
    expect(docs.locator("#docs-found")).to_have_text("1 operation")
    assert ["POST /v2/webhooks/deliveries/{delivery_id}/redeliver"] == routes(docs)
    assert 1 == docs.locator(".contents ul ul li").filter(visible=True).count()
    docs.keyboard.press("Enter")
    expect(docs.get_by_role("link", name="Redeliver").last).to_be_focused()
    docs.keyboard.press("/")
    docs.keyboard.press("Escape")
    expect(search).to_have_value("")
    assert whole == visible(docs)


def test_nothing_found(docs: Page) -> None:
    """A search without a result says so, and how to go on."""
    docs.get_by_test_id("docs-search").fill("no such thing")
    expect(docs.locator("#docs-found")).to_have_text("Nothing found. Escape shows everything.")
    assert 0 == visible(docs)


def test_an_address_shows_what_the_search_hid(docs: Page) -> None:
    """Following a link to what the search has hidden ends the search."""
    docs.get_by_test_id("docs-search").fill("redeliver")
    docs.evaluate("() => { location.hash = '#post-v2-slug'; }")
    expect(docs.locator("#post-v2-slug")).to_be_in_viewport()
    expect(docs.get_by_test_id("docs-search")).to_have_value("")


def test_an_address_that_names_nothing(docs: Page) -> None:
    """A broken escape is no mistake of the page, and what is named afterwards is shown."""
    docs.get_by_test_id("docs-search").fill("redeliver")
    for name in ("%", "%ff", "nothing", "post-v2-slug"):
        docs.evaluate("(name) => { location.hash = name; }", name)
    expect(docs.locator("#post-v2-slug")).to_be_in_viewport()


def test_a_shared_body_opens_in_place(docs: Page) -> None:
    """An answer's named body shows its fields where it is named."""
    answer = docs.locator("#get-v2-requests-request_id .peek", has_text="Result")
    answer.locator("summary").click()
    expect(answer.locator("code", has_text=re.compile("^seed$"))).to_be_visible()


def test_copying_an_example(open_page: Open) -> None:
    """The button puts the call on the clipboard, as it is printed."""
    docs = open_page("/docs", permissions=["clipboard-read", "clipboard-write"])
    figure = docs.locator("#get-healthz figure")
    with timeless(docs):
        figure.get_by_role("button", name="Copy").click()
        expect(figure.get_by_role("button", name="Copied")).to_be_visible()
    assert figure.locator("code").inner_text() == docs.evaluate("() => navigator.clipboard.readText()")


def test_it_is_whole_without_scripts(open_page: Open, document: dict[str, Any]) -> None:
    """Without scripts every operation is there, and no search that wouldn't search."""
    docs = open_page("/docs", java_script_enabled=False)
    assert sum(map(len, document["paths"].values())) == visible(docs)
    expect(docs.get_by_test_id("docs-search")).to_be_hidden()


def test_on_a_phone(open_page: Open) -> None:
    """Nothing is wider than the screen, the groups are at hand, and axe finds nothing serious."""
    docs = open_page("/docs", **PHONE)
    fits(docs)
    axe(docs)
    docs.locator(".contents").get_by_role("link", name="Webhooks").tap()
    expect(docs.get_by_role("heading", name="Webhooks", exact=True)).to_be_in_viewport()


def test_by_keyboard(docs: Page) -> None:
    """The contents and the first example's button are reached by Tab, with a focus that shows."""
    tab_to(docs, docs.get_by_test_id("docs-search"))
    tab_to(docs, docs.locator(".contents a").first)
    docs.locator("#post-v2-slug h3 a").focus()
    tab_to(docs, docs.locator("#post-v2-slug figure button"), most=3)


def test_it_is_accessible(docs: Page) -> None:
    """axe finds nothing serious, in light and dark, with a body opened."""
    docs.locator(".peek summary").first.click()
    for _ in both_schemes(docs):
        axe(docs)


def test_printing(docs: Page) -> None:
    """On paper there is the reference alone."""
    docs.emulate_media(media="print")
    expect(docs.locator(".contents")).to_be_hidden()
    expect(docs.get_by_test_id("nav")).to_be_hidden()
    expect(docs.get_by_test_id("operation").first).to_be_visible()

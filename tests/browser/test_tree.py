"""The tree of edits: lineage, the keyboard, erasing, what has expired, and who may see it."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Open
from tests.browser.edits import Past
from tests.browser.kit import DARK, PHONE, Log, axe, both_schemes, fits, held, new_key, tab_to
from tests.browser.playground import expect_state, part, quickly, run, shown_request
from tests.service import Service

pytestmark = pytest.mark.slow

# What is nested in what, read off the lists: the prompts, each with those of its children.
_NESTED = """(list) => {
  const read = (list) => [...list.children].map((item) => [
    item.querySelector(".tree-prompt").textContent, read(item.querySelector(":scope > ul"))]);
  return read(list);
}"""


def tree_of(page: Page) -> Any:
    """The tree as nested lists of prompts, once it is there."""
    expect(page.locator(".tree")).to_have_attribute("aria-busy", "false")
    return page.locator(".tree").evaluate(_NESTED)


def item(page: Page, prompt: str) -> Locator:
    """The button of the edit with a prompt."""
    return part(page, "history-item").filter(has=page.get_by_text(prompt, exact=True))


@pytest.fixture
def family(past: Past) -> dict[str, str]:
    """Four edits, two of them made from the first, and one from one of these; another without children. Their ids."""
    first = past.edit("make it snow")
    ids = {"make it snow": first, "add fog": past.edit("add fog", of=first)}
    ids["blur the picture"] = past.edit("blur the picture")
    ids["make it night"] = past.edit("make it night", of=first)
    ids["make it rain"] = past.edit("make it rain", of=ids["add fog"])
    return ids


FAMILY = [["make it snow", [["add fog", [["make it rain", []]]], ["make it night", []]]], ["blur the picture", []]]


def test_edits_stand_under_what_they_were_made_from(open_page: Open, past: Past, family: dict[str, str]) -> None:
    """The branch where something happened last comes first; a reload finds it again, with the input at the roots."""
    page = open_page(key=past.key)
    assert FAMILY == tree_of(page)
    page.reload()
    assert FAMILY == tree_of(page)
    for prompt in family:
        pictures = item(page, prompt).locator("img:visible")
        expect(pictures).to_have_count(2 if prompt in ("make it snow", "blur the picture") else 1)
        for picture in pictures.all():
            picture.scroll_into_view_if_needed()
            expect(picture).to_have_js_property("complete", True)
            assert picture.evaluate("(node) => node.naturalWidth") > 0


def test_a_click_shows_the_edit_again(open_page: Open, past: Past, family: dict[str, str]) -> None:
    """With what it was asked for and made from; it is the current one then."""
    page = open_page(key=past.key)
    item(page, "add fog").click()
    expect_state(page, "done")
    expect(item(page, "add fog")).to_have_attribute("aria-current", "true")
    expect(page.locator(".tree [aria-current]")).to_have_count(1)
    expect(page.locator(".result-prompt")).to_have_text("add fog")
    expect(part(page, "compare-slider")).to_be_enabled()
    assert family["add fog"] == shown_request(page)
    expect(page.locator(".facts")).to_contain_text("Steps4")


def test_a_seed_beyond_the_numbers_of_javascript_stays_what_it_is(open_page: Open, past: Past) -> None:
    """2^53 + 1 isn't rounded, though the history has it as a number."""
    past.edit("make it snow", seed=2**53 + 1)
    page = open_page(key=past.key)
    item(page, "make it snow").click()
    expect(part(page, "result-seed")).to_have_text("9007199254740993")


WAYS = [
    ("ArrowDown", "add fog"), ("ArrowRight", "make it rain"), ("ArrowRight", "make it rain"),
    ("ArrowDown", "make it night"), ("ArrowLeft", "make it snow"), ("End", "blur the picture"),
    ("ArrowUp", "make it night"), ("Home", "make it snow"), ("ArrowUp", "make it snow"), ("ArrowRight", "add fog"),
]  # fmt: skip


def test_the_keyboard_reaches_one_and_the_arrows_the_others(
    open_page: Open, past: Past, family: dict[str, str]
) -> None:
    """Down and up by lines, right to what was made from it, left back; Tab goes on to what can be done with it."""
    page = open_page(key=past.key)
    tree_of(page)
    tab_to(page, item(page, "make it snow"))
    for key, prompt in WAYS:
        page.keyboard.press(key)
        expect(item(page, prompt)).to_be_focused()
    page.keyboard.press("Enter")
    expect_state(page, "done")
    assert family["add fog"] == shown_request(page)
    row = page.locator(".tree-row", has=item(page, "add fog"))
    page.keyboard.press("Tab")
    expect(row.get_by_test_id("history-use")).to_be_focused()
    page.keyboard.press("Tab")
    expect(row.get_by_test_id("history-delete")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".tree :focus")).to_have_count(0)


def test_a_new_edit_is_listed_at_once_under_its_parent(open_page: Open, past: Past, service: Service) -> None:
    """First as waiting, then with its picture, without a reload."""
    past.edit("make it snow")
    page = open_page(key=past.key)
    page.locator(".tree-row", has=item(page, "make it snow")).hover()
    part(page, "history-use").click()
    expect(page.locator(".input-name")).to_have_text("Edit: make it snow")
    quickly(page)
    with held(service):
        run(page, "make it night")
        expect(item(page, "make it night")).to_have_attribute("data-state", "queued")
        assert [["make it snow", [["make it night", []]]]] == tree_of(page)
        expect(item(page, "make it night")).to_contain_text("Waiting")
    expect(item(page, "make it night")).to_have_attribute("data-state", "done")
    expect(item(page, "make it night").locator("img:visible")).to_have_count(1)


def test_what_failed_says_so(open_page: Open, past: Past, service: Service) -> None:
    """A cancelled edit has its place, and a click says what became of it."""
    with held(service):
        past.client.delete(f"/v2/requests/{past.submit('make it snow')}")
    page = open_page(key=past.key)
    expect(item(page, "make it snow")).to_have_attribute("data-state", "failed")
    expect(item(page, "make it snow")).to_contain_text("Cancelled")
    item(page, "make it snow").click()
    expect_state(page, "failed")
    expect(part(page, "error-code")).to_have_text("cancelled")


def test_a_question_asked_again_at_once_is_answered(open_page: Open, past: Past, family: dict[str, str]) -> None:
    """A dialog tells that it was closed a moment later, when it may be open again."""
    page = open_page(key=past.key)
    item(page, "blur the picture").focus()
    page.keyboard.press("Delete")
    expect(page.get_by_test_id("history-dialog")).to_be_visible()
    item(page, "blur the picture").evaluate(_ASK_AGAIN)
    part(page, "history-delete-confirm").click()
    expect(item(page, "blur the picture")).to_have_count(0)
    assert "not_found" == past.body(family["blur the picture"])["code"]


_ASK_AGAIN = """(item) => {
  document.querySelector("[data-testid=history-dialog]").close();
  item.dispatchEvent(new KeyboardEvent("keydown", { key: "Delete", bubbles: true }));
}"""


def test_erasing_asks_once_and_erases_on_the_server(open_page: Open, past: Past, family: dict[str, str]) -> None:
    """By the Delete key; the focus goes on to what is next, and a shown edit is shown no longer."""
    page = open_page(key=past.key)
    item(page, "blur the picture").click()
    expect_state(page, "done")
    page.keyboard.press("Delete")
    expect(page.locator(".history-prompt")).to_have_text("blur the picture")
    page.keyboard.press("Escape")
    expect(item(page, "blur the picture")).to_be_focused()
    assert "COMPLETED" == past.body(family["blur the picture"])["status"]
    page.keyboard.press("Delete")
    part(page, "history-delete-confirm").click()
    expect(item(page, "blur the picture")).to_have_count(0)
    expect(item(page, "make it night")).to_be_focused()
    expect_state(page, "idle")
    assert "not_found" == past.body(family["blur the picture"])["code"]


def test_an_erased_edit_keeps_its_place_above_what_was_made_from_it(
    open_page: Open, past: Past, family: dict[str, str]
) -> None:
    """Also after a reload; one without children is listed only on request."""
    past.client.delete(f"/v2/requests/{family['make it snow']}")
    past.client.delete(f"/v2/requests/{family['blur the picture']}")
    page = open_page(key=past.key)
    assert FAMILY[:1] == tree_of(page)
    expect(item(page, "make it snow")).to_have_attribute("data-state", "expired")
    expect(part(page, "history")).to_contain_text("Show 2 whose pictures are erased")
    part(page, "history-expired").check()
    assert FAMILY == tree_of(page)
    item(page, "blur the picture").click()
    expect(page.get_by_text("The pictures of this edit are erased")).to_be_visible()
    expect(part(page, "same-seed")).to_be_visible()
    expect(part(page, "use-as-input")).to_be_hidden()


def test_older_edits_come_on_request(open_page: Open, past: Past) -> None:
    """A page at a time, joined to those that are there: a parent of the next page gets its children back."""
    first = past.edit("make it snow")
    past.edit("add fog", of=first)
    past.edit("make it night")
    page = open_page("/docs", key=past.key)
    page.route(re.compile(r"per_page=100"), _two_at_a_time)
    page.goto("/")
    assert [["make it night", []], ["add fog", []]] == tree_of(page)
    part(page, "history-older").click()
    expect(item(page, "make it snow")).to_be_visible()
    assert [["make it night", []], ["make it snow", [["add fog", []]]]] == tree_of(page)
    expect(part(page, "history-older")).to_be_hidden()


def _two_at_a_time(route: Route) -> None:
    route.continue_(url=route.request.url.replace("per_page=100", "per_page=2"))


def test_a_key_that_may_not_read_the_history(open_page: Open, service: Service, log: Log) -> None:
    """The section says so quietly; what is done with it on this page is listed all the same."""
    log.allow("403")
    page = open_page(key=new_key(service, "writer", credits=1, may_read_history=False))
    expect(part(page, "history-notice")).to_contain_text("may not read the history")
    quickly(page)
    run(page, "make it snow")
    expect_state(page, "done")
    expect(item(page, "make it snow")).to_have_attribute("data-state", "done")


def test_nothing_there_yet(open_page: Open, past: Past) -> None:
    """Then it says what will be."""
    page = open_page(key=past.key)
    expect(part(page, "history-empty")).to_be_visible()
    expect(part(page, "history-older")).to_be_hidden()


LINEAGE = [("a", None, 1), ("b", "a", 2), ("c", None, 3), ("d", "b", 4), ("e", "a", 5), ("f", "gone", 0)]
_FOREST = """async ([folder, edits]) => {
  const { forest } = await import(`${folder}/js/lineage.js`);
  const read = (nodes) => nodes.map(({ edit, children }) => [edit.id, read(children)]);
  return read(forest(edits));
}"""


def test_the_newest_branch_of_a_forest_is_first(page: Page) -> None:
    """By the newest edit anywhere in it; one whose parent isn't known is a root."""
    edits = [{"id": id, "parentId": parent, "createdAt": f"2026-01-0{day}"} for id, parent, day in LINEAGE]
    folder = page.locator("html").get_attribute("data-assets")
    assert [["a", [["e", []], ["b", [["d", []]]]]], ["c", []], ["f", []]] == page.evaluate(_FOREST, [folder, edits])


@pytest.mark.parametrize("screen", [{}, PHONE | DARK], ids=["desk", "phone"])
def test_everybody_can_use_the_tree(
    open_page: Open, past: Past, family: dict[str, str], screen: dict[str, Any]
) -> None:
    """No serious violation in light or dark, nothing wider than the screen; a row on a phone has room for its words."""
    page = open_page(key=past.key, **screen)
    tree_of(page)
    item(page, "make it rain").click()
    expect_state(page, "done")
    fits(page)
    for _ in both_schemes(page):
        axe(page, inside="[data-testid=history]")
        axe(page, inside="[data-testid=result]")
    assert item(page, "make it rain").locator(".tree-words").evaluate("(node) => node.clientWidth") > 100

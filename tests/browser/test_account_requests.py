"""The account page's requests: with pictures, filtered, paged, replayed, cancelled and erased."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.account import NOWHERE, WORDS, answer, fail, request_row
from tests.browser.conftest import Open
from tests.browser.edits import Past
from tests.browser.kit import held, new_key, today
from tests.service import Service, eventually

pytestmark = pytest.mark.slow


def shows(image: Locator) -> None:
    """The picture is there, and not only its frame."""
    expect(image).to_be_visible()
    assert eventually(lambda: image.evaluate("(node) => node.complete && node.naturalWidth"))


def found(page: Page, *ids: str) -> None:
    """These requests are listed, in this order."""
    expect(page.get_by_test_id("request")).to_have_count(len(ids))
    for place, request_id in enumerate(ids):
        expect(page.get_by_test_id("request").nth(place)).to_have_attribute("data-request", request_id)


def test_a_request_with_its_pictures(open_page: Open, past: Past) -> None:
    """Before and after, what was asked for and what it came to, and the way to it in the playground."""
    first = past.edit("make it snow", seed=7)
    done = past.edit("make it night", of=first)
    page = open_page("/account#requests", key=past.key)
    found(page, done, first)
    row = request_row(page, done)
    shows(row.get_by_role("img", name="Before"))
    shows(row.get_by_role("img", name="After"))
    expect(row).to_contain_text("Completed")
    expect(row.get_by_test_id("open")).to_have_attribute("href", f"/#request={done}")
    row.locator("summary").press("Enter")
    expect(row.get_by_role("link", name=first)).to_have_attribute("href", f"/#request={first}")
    request_row(page, first).locator("summary").click()
    facts = dict(zip(*(request_row(page, first).locator(each).all_inner_texts() for each in ("dt", "dd")), strict=True))
    assert ("7", "as the input", "4", "0.04 credits") == tuple(
        facts[each] for each in ("Seed", "Shape", "Steps", "Cost")
    )
    assert re.fullmatch(r"[0-9.]+ m?s", facts["Ran"])
    assert facts["Request"] == first


def test_why_one_failed(open_page: Open, past: Past) -> None:
    """In words, with the code."""
    failed = fail(past)
    page = open_page("/account#requests", key=past.key)
    row = request_row(page, failed)
    expect(row).to_contain_text("Failed · fetch failed")
    row.locator("summary").click()
    expect(row.get_by_test_id("code")).to_have_text("fetch_failed")
    expect(row).to_contain_text("The picture couldn't be fetched.")


def test_filters_are_in_the_address(open_page: Open, past: Past) -> None:
    """By state, code, words and day; a reload shows the same, and one button takes them away."""
    day = today()
    done, failed = past.edit("make it snow in Zürich"), fail(past, "make it snow")
    page = open_page("/account#requests", key=past.key)
    found(page, failed, done)
    page.get_by_test_id("filter-status").select_option("COMPLETED")
    found(page, done)
    expect(page.locator("#announcer")).to_have_text("1 request found")
    page.get_by_test_id("filter-status").select_option("")
    page.get_by_test_id("filter-code").select_option("fetch_failed")
    found(page, failed)
    page.get_by_test_id("filter-code").select_option("")
    page.get_by_test_id("filter-text").fill("zürich")
    found(page, done)
    expect(page).to_have_url(re.compile(r"/account\?q=z%C3%BCrich#requests$"))
    page.get_by_test_id("filter-from").fill(day.isoformat())
    expect(page).to_have_url(re.compile(r"&from=[0-9-]{10}#requests$"))
    page.reload()
    found(page, done)
    expect(page.get_by_test_id("filter-text")).to_have_value("zürich")
    page.get_by_test_id("filter-to").fill("2020-01-01")
    expect(page.locator("#requests-empty")).to_have_text("No request is like that. Take a filter away.")
    page.get_by_test_id("filter-clear").click()
    found(page, failed, done)
    expect(page).to_have_url(re.compile(r"/account#requests$"))


def test_pages(open_page: Open, past: Past) -> None:
    """Twenty on each; the way back is the browser's too."""
    ids = [past.submit(f"edit {number}", input_image=NOWHERE) for number in range(21)]
    page = open_page("/account#requests", key=past.key)
    expect(page.get_by_test_id("request")).to_have_count(20)
    expect(page.get_by_test_id("page-previous")).to_be_disabled()
    page.get_by_test_id("page-next").click()
    found(page, ids[0])
    expect(page.locator("#requests-count")).to_be_focused()
    expect(page.locator("#requests-page")).to_have_text("Page 2 of 2")
    expect(page.get_by_test_id("page-next")).to_be_disabled()
    page.go_back()
    expect(page.get_by_test_id("request")).to_have_count(20)


def test_replay(open_page: Open, past: Past) -> None:
    """A new request of the same picture and parameters, which is seen to its end without a reload."""
    first = past.edit("make it snow", seed=7)
    page = open_page("/account#requests", key=past.key)
    request_row(page, first).get_by_test_id("replay").press("Enter")
    link = page.get_by_test_id("replayed")
    expect(link).to_be_visible()
    again = str(link.get_attribute("href")).removeprefix("/#request=")
    assert again != first
    expect(request_row(page, again)).to_have_attribute("data-state", "done")
    shows(request_row(page, again).get_by_role("img", name="After"))
    expect(request_row(page, first).get_by_test_id("replay")).to_be_focused()
    expect(page.get_by_test_id("credits")).to_have_text("9.92 credits")
    assert "7" == past.body(again)["seed"]


def test_erasing(open_page: Open, past: Past) -> None:
    """After a question; then the pictures are gone, which the row says, and there is nothing more to do with it."""
    done = past.edit("make it snow")
    page = open_page("/account#requests", key=past.key)
    row = request_row(page, done)
    row.get_by_test_id("delete").click()
    expect(page.get_by_test_id("confirm")).to_contain_text("“make it snow”")
    answer(page, yes=False)
    expect(row.get_by_test_id("delete")).to_be_focused()
    page.keyboard.press("Enter")
    answer(page, yes=True)
    expect(row).to_have_attribute("data-state", "gone")
    expect(row).to_contain_text("its pictures have expired or were erased")
    expect(row.locator("summary")).to_be_focused()
    expect(row.locator("img, button, a")).to_have_count(0)
    assert 404 == past.client.get(f"/v2/requests/{done}").status_code


def test_cancelling(open_page: Open, past: Past, service: Service) -> None:
    """One that is waiting is cancelled instead, and costs nothing."""
    with held(service):
        waiting = past.submit("make it snow")
        page = open_page("/account#requests", key=past.key)
        row = request_row(page, waiting)
        expect(row).to_have_attribute("data-state", "queued")
        row.get_by_role("button", name="Cancel").click()
        answer(page, yes=True)
        expect(row).to_contain_text("Failed · cancelled")
    assert "cancelled" == past.body(waiting)["code"]


def test_a_key_that_only_looks(open_page: Open, past: Past, service: Service, request: pytest.FixtureRequest) -> None:
    """It sees everything, and is offered nothing that it may not do."""
    done = past.edit("make it snow")
    page = open_page("/account#requests", key=new_key(service, request.node.name, may_edit=False))
    shows(request_row(page, done).get_by_role("img", name="After"))
    expect(request_row(page, done).get_by_role("button")).to_have_count(0)


def test_a_key_without_the_history(open_page: Open, service: Service) -> None:
    """The part says what it lacks."""
    page = open_page("/account#requests", key=new_key(service, "no history", may_read_history=False))
    expect(page.get_by_role("tabpanel")).to_contain_text("This key may not read the history.")


def test_a_prompt_is_text(open_page: Open, past: Past) -> None:
    """Whatever it looks like, in the list and in the question."""
    done = past.edit(WORDS)
    page = open_page("/account#requests", key=past.key)
    expect(request_row(page, done).locator(".prompt")).to_have_text(WORDS)
    request_row(page, done).get_by_test_id("delete").click()
    expect(page.get_by_test_id("confirm")).to_contain_text(f"“{WORDS}”")

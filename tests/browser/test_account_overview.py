"""The account page's overview: balance, usage and ledger, each on its own."""

import re
from contextlib import closing
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Route, expect

from openkontext.store import Store
from tests.browser.account import fail, rows, section
from tests.browser.conftest import Open
from tests.browser.edits import Past
from tests.browser.kit import Log, held, new_key, sign_in, today
from tests.service import Service

pytestmark = pytest.mark.slow


def cells(figure: Locator) -> list[list[str]]:
    """The numbers of a chart, as its table has them."""
    return [row.locator("td").all_inner_texts() for row in figure.locator("tbody tr").all()]


def test_the_balance(open_page: Open, past: Past, service: Service) -> None:
    """What there is, what is held, what an edit costs, and how many edits that is."""
    past.edit("make it snow")
    with held(service):
        past.submit("make it night")
        page = open_page("/account", key=past.key)
        expect(page.get_by_test_id("balance")).to_have_text("9.92 credits")
        expect(section(page, "Balance").locator("dd")).to_have_text(
            ["0.04 credits", "0.04 credits", "0.04 credits", "248 edits"]
        )


def test_the_ledger(open_page: Open, past: Past) -> None:
    """Each change in words, newest first, with what it was for and the balance after it."""
    done, failed = past.edit("make it snow"), fail(past)
    page = open_page("/account", key=past.key)
    expect(rows(page, "ledger")).to_have_count(5)
    found = [row.locator("td").all_inner_texts()[1:] for row in rows(page, "ledger").all()]
    assert found == [
        ["Given back", failed[:8], "+0.04", "9.96"],
        ["Held", failed[:8], "−0.04", "9.92"],
        ["Charged", done[:8], "as held", "9.96"],
        ["Held", done[:8], "−0.04", "9.96"],
        ["Granted", "", "+10", "10"],
    ]
    expect(rows(page, "ledger").first.get_by_role("link")).to_have_attribute("href", f"/#request={failed}")


def test_older_entries_come_behind(open_page: Open, past: Past, service: Service) -> None:
    """Twenty at first, then more; the focus isn't lost with the button."""
    with closing(Store.open(service.data / "openkontext.db")) as store:
        account = store.account("test_older_entries_come_behind")
        assert account
        for _ in range(24):
            store.add_credits(account.id, 1_000_000)
    page = open_page("/account", key=past.key)
    expect(rows(page, "ledger")).to_have_count(20)
    expect(page.locator("#ledger-count")).to_have_text("20 of 25")
    page.get_by_test_id("ledger-more").click()
    expect(rows(page, "ledger")).to_have_count(25)
    expect(rows(page, "ledger").last).to_contain_text("Granted")
    expect(page.get_by_test_id("ledger-more")).to_be_hidden()
    expect(page.locator("#ledger-count")).to_be_focused()


def test_usage(open_page: Open, past: Past) -> None:
    """Requests, GPU time and failures of each day, drawn and as a table, with their sums."""
    today()
    past.edit("make it snow")
    fail(past)
    page = open_page("/account", key=past.key)
    requests, gpu, failures = (page.get_by_test_id(f"usage-{name}") for name in ("requests", "gpu", "failures"))
    expect(requests.locator(".chart-bar")).to_have_count(2)
    assert [["0", "0", "0"]] * 29 + [["1", "1", "0"]] == cells(requests)
    assert [["0"]] * 29 + [["1"]] == cells(failures)
    assert re.fullmatch(r"[0-9.]+ s", cells(gpu)[-1][0])
    expect(failures.locator("thead")).to_have_text("fetch failed")
    expect(page.locator("#total-requests")).to_have_text("2 · 0.04 credits")
    expect(page.locator("#total-failures")).to_have_text("1")


def test_the_range_is_in_the_address(open_page: Open, past: Past) -> None:
    """A reload shows the same days, and the way there is by keyboard too."""
    page = open_page("/account", key=past.key)
    expect(page.get_by_test_id("usage-requests").locator("tbody tr")).to_have_count(30)
    page.get_by_role("radio", name="30 days").press("ArrowRight")
    expect(page.get_by_test_id("usage-requests").locator("tbody tr")).to_have_count(90)
    assert page.url.endswith("/account?days=90")
    page.reload()
    expect(page.get_by_role("radio", name="90 days")).to_be_checked()
    expect(page.get_by_test_id("usage-requests").locator("tbody tr")).to_have_count(90)


def test_answers_that_overtake_each_other(open_page: Open, past: Past) -> None:
    """What was chosen last is shown, though the answer before comes after it."""
    page = open_page("/account", key=past.key)
    bars = page.get_by_test_id("usage-requests").locator("tbody tr")
    expect(bars).to_have_count(30)
    late: list[Route] = []
    page.route("**/v2/account/usage*", lambda route: late.append(route), times=1)
    page.get_by_role("radio", name="90 days").check(force=True)
    page.get_by_role("radio", name="7 days").check(force=True)
    expect(bars).to_have_count(7)
    with page.expect_response("**/v2/account/usage*") as answer:
        late[0].continue_()
    answer.value.finished()
    # Another answer, behind which that one has been heard of.
    page.evaluate("() => fetch('/healthz').then((answer) => answer.text())")
    expect(bars).to_have_count(7)
    expect(page.get_by_role("radio", name="7 days")).to_be_checked()


def test_a_chart_by_hand_and_by_key(open_page: Open, past: Past) -> None:
    """The pointer and the arrows show a day's numbers; Escape hides them; who listens is told."""
    day = today()
    past.edit("make it snow")
    page = open_page("/account", key=past.key)
    figure = page.get_by_test_id("usage-requests")
    picture, tip = figure.get_by_role("img"), figure.locator(".chart-tip")
    expect(figure.locator(".chart-bar")).to_have_count(1)
    picture.focus()
    expect(tip).to_contain_text(f"{day.day} {day:%b}")
    picture.press("ArrowLeft")
    yesterday = day - timedelta(days=1)
    expect(page.locator("#announcer")).to_have_text(
        re.compile(rf"^{yesterday.day} \w+: completed 0, failed 0, under way 0$")
    )
    picture.press("Escape")
    expect(tip).to_be_hidden()
    box = picture.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 50)
    expect(tip.locator("b")).to_have_text(["0", "0", "1"])


def test_nothing_yet(open_page: Open, past: Past) -> None:
    """Charts without anything to draw say so."""
    page = open_page("/account", key=past.key)
    expect(page.get_by_test_id("usage-requests").locator("text")).to_have_text("No requests in these 30 days.")
    expect(page.get_by_test_id("usage-failures").locator("text")).to_have_text("No failures in these 30 days.")


def test_a_key_that_may_not_look_back(open_page: Open, service: Service, log: Log) -> None:
    """It sees the balance; usage and ledger say what it lacks, and ask the server for nothing."""
    page = open_page("/account", key=new_key(service, "blind", credits=10, may_read_history=False))
    expect(page.get_by_test_id("balance")).to_have_text("10 credits")
    for name in ("Usage", "Ledger"):
        expect(section(page, name)).to_contain_text("This key may not read the history.")
    expect(page.get_by_test_id("ledger")).to_be_hidden()
    assert [] == log.lines


def test_a_section_that_fails_is_tried_again(open_page: Open, past: Past, log: Log) -> None:
    """Its neighbours show what they have; it says what is wrong, and a press of its button helps."""
    log.allow("ERR_FAILED")
    page = open_page("/", key=past.key)
    page.route("**/v2/account/ledger*", lambda route: route.abort())
    page.goto("/account")
    expect(section(page, "Ledger")).to_contain_text("The server can't be reached")
    expect(page.get_by_test_id("balance")).to_have_text("10 credits")
    page.unroute("**/v2/account/ledger*")
    section(page, "Ledger").get_by_role("button", name="Try again").press("Enter")
    expect(rows(page, "ledger")).to_have_count(1)
    expect(page.get_by_role("heading", name="Ledger")).to_be_focused()


def test_without_a_key(open_page: Open, past: Past, service: Service, log: Log) -> None:
    """Who gives none is told in each section; the one given for one is good for all."""
    log.allow("401")
    page = open_page("/account", url=service.url.replace("127.0.0.1", "localhost"))
    page.get_by_role("button", name="Not now").click()
    for name in ("Balance", "Usage", "Ledger"):
        expect(section(page, name)).to_contain_text("This needs a key of the account.")
    section(page, "Usage").get_by_role("button", name="Enter a key").click()
    sign_in(page, past.key)
    expect(page.get_by_test_id("balance")).to_have_text("10 credits")
    expect(rows(page, "ledger")).to_have_count(1)
    expect(page.get_by_test_id("usage-requests").locator("tbody tr")).to_have_count(30)
    assert past.key not in page.url


def test_the_parts_are_tabs(open_page: Open, past: Past) -> None:
    """The arrows move between them; the address names the one that is shown, and leads back to it."""
    page = open_page("/account", key=past.key)
    page.get_by_role("tab", name="Overview").press("ArrowRight")
    expect(page.get_by_role("tabpanel", name="Requests")).to_be_visible()
    assert page.url.endswith("/account#requests")
    page.get_by_role("tab", name="Requests").press("End")
    expect(page.get_by_role("tabpanel", name="Webhooks")).to_be_visible()
    page.reload()
    expect(page.get_by_role("tab", name="Webhooks")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(page.get_by_role("tabpanel", name="Requests")).to_be_visible()
    expect(page.get_by_role("tabpanel")).to_have_count(1)

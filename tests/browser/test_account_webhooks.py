"""The account page's webhooks: made and deleted, with a real receiver; what was posted, and posting it again."""

import re

import pytest
from playwright.sync_api import Page, expect
from standardwebhooks import Webhook

from tests.browser.account import answer, rows, section
from tests.browser.conftest import Open
from tests.browser.edits import Past
from tests.browser.kit import Log
from tests.receivers import receiving

pytestmark = pytest.mark.slow


def add(page: Page, url: str) -> None:
    """Add a webhook, and wait for it."""
    page.get_by_test_id("webhook-url").fill(url)
    page.get_by_test_id("webhook-url").press("Enter")
    expect(page.get_by_test_id("webhook").locator(".url")).to_have_text(url)


def test_a_webhook_from_its_making_to_its_end(open_page: Open, past: Past) -> None:
    """Its secret verifies what is posted; the log follows, posts it again; deleted, it gets nothing more."""
    page = open_page("/account#webhooks", key=past.key)
    expect(page.locator("#webhooks-empty")).to_be_visible()
    with receiving() as receiver:
        add(page, receiver.url)
        hook = page.get_by_test_id("webhook")
        expect(hook.get_by_test_id("webhook-reveal")).to_be_focused()
        page.keyboard.press("Enter")
        expect(hook.get_by_test_id("webhook-secret")).to_be_focused()
        secret = hook.get_by_test_id("webhook-secret").input_value()
        done = past.edit("make it snow")
        page.reload()
        delivery = page.get_by_test_id("delivery")
        expect(delivery).to_have_attribute("data-state", "delivered")
        for words in ("Completed", done[:8], receiver.url, "1 attempt", "204"):
            expect(delivery).to_contain_text(words)
        delivery.get_by_test_id("redeliver").click()
        expect(delivery).to_have_count(2)
        expect(delivery.first).to_have_attribute("data-state", "delivered")
        first, again = receiver.received
        assert first.headers["webhook-id"] == again.headers["webhook-id"]
        assert done == Webhook(secret).verify(again.body, again.headers)["request_id"]
        hook.get_by_test_id("webhook-delete").click()
        expect(page.get_by_test_id("confirm")).to_contain_text(receiver.url)
        answer(page, yes=True)
        expect(hook).to_have_count(0)
        expect(page.get_by_role("heading", name="Webhooks")).to_be_focused()
        assert [] == past.client.get("/v2/webhooks").json()["webhooks"]


def test_an_attempt_under_way_is_followed_to_its_end(open_page: Open, past: Past) -> None:
    """As long as the receiver thinks, that is said; what it answers then is there without a reload."""
    page = open_page("/account#webhooks", key=past.key)
    with receiving(slow=True) as receiver:
        add(page, receiver.url)
        past.edit("make it snow")
        page.reload()
        delivery = page.get_by_test_id("delivery")
        expect(delivery).to_contain_text("the last is under way")
        expect(delivery).to_contain_text("none yet")
        receiver.released.set()
        expect(delivery).to_have_attribute("data-state", "delivered")


def test_only_what_was_chosen(open_page: Open, past: Past) -> None:
    """One for failures only; of nothing at all there is none."""
    page = open_page("/account#webhooks", key=past.key)
    page.get_by_test_id("webhook-completed").uncheck()
    page.get_by_test_id("webhook-failed").uncheck()
    page.get_by_test_id("webhook-url").fill("https://example.com/hooks")
    page.get_by_test_id("webhook-create").click()
    expect(page.get_by_role("alert").filter(has_text="Choose at least one event.")).to_be_visible()
    page.get_by_test_id("webhook-failed").check()
    page.get_by_test_id("webhook-create").click()
    expect(page.get_by_test_id("webhook")).to_contain_text("When a request is failed")
    assert ["request.failed"] == past.client.get("/v2/webhooks").json()["webhooks"][0]["types"]


def test_a_bad_address_is_said_at_its_field(open_page: Open, past: Past, log: Log) -> None:
    """In the server's words; what was typed stays, with the focus."""
    log.allow("400")
    page = open_page("/account#webhooks", key=past.key)
    field = page.get_by_test_id("webhook-url")
    field.fill("http://10.0.0.1/hooks")
    field.press("Enter")
    expect(page.locator("#webhook-problem")).to_contain_text("The webhook's URL")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    add(page, "https://example.com/hooks")
    expect(page.locator("#webhook-problem")).to_be_hidden()
    expect(field).to_have_attribute("aria-invalid", "false")


def test_what_is_not_taken(open_page: Open, past: Past) -> None:
    """The log has the receiver's answer, the attempts, and when the next one is."""
    with receiving(lambda _: (503, {"retry-after": "1800"})) as receiver:
        page = open_page("/account#webhooks", key=past.key)
        add(page, receiver.url)
        past.edit("make it snow")
        page.reload()
        delivery = page.get_by_test_id("delivery")
        expect(delivery).to_contain_text(re.compile(r"1 attempt, next in \d+ minutes"))
        expect(delivery).to_contain_text("503")
        expect(delivery).to_have_attribute("data-state", "pending")


def test_what_is_gone_is_not_posted_again(open_page: Open, past: Past, log: Log) -> None:
    """The section says why, and the log stays."""
    log.allow("410")
    with receiving() as receiver:
        page = open_page("/account#webhooks", key=past.key)
        add(page, receiver.url)
        done = past.edit("make it snow")
        page.reload()
        expect(page.get_by_test_id("delivery")).to_have_attribute("data-state", "delivered")
        assert 204 == past.client.delete(f"/v2/requests/{done}").status_code
        page.get_by_test_id("redeliver").click()
        expect(section(page, "Deliveries").get_by_role("alert")).to_contain_text("This edit is gone.")
        expect(rows(page, "deliveries")).to_have_count(1)


def test_the_account_s_own_secret(open_page: Open, past: Past) -> None:
    """It is shown when it is asked for, and not before."""
    page = open_page("/account#webhooks", key=past.key)
    secret = past.client.get("/v2/webhooks/secret").json()["secret"]
    expect(page.locator("#webhooks-empty")).to_be_visible()
    assert secret not in page.content()
    page.locator("#account-secret").get_by_role("button").click()
    expect(page.locator("#account-secret").get_by_test_id("webhook-secret")).to_have_value(secret)


def test_an_address_is_text(open_page: Open, past: Past) -> None:
    """Whatever it looks like, in the list and in the question."""
    url = "https://example.com/?<img/src=x&quot;"
    kept = past.client.post("/v2/webhooks", json={"url": url}).json()["url"]
    page = open_page("/account#webhooks", key=past.key)
    expect(page.get_by_test_id("webhook").locator(".url")).to_have_text(kept)
    page.get_by_test_id("webhook-delete").click()
    expect(page.get_by_test_id("confirm")).to_contain_text(kept)

"""The account page's keys: listed, made with what its own key can give, shown once, revoked."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.account import WORDS, answer, rows, section
from tests.browser.conftest import Open
from tests.browser.kit import Log, new_key
from tests.service import Service

pytestmark = pytest.mark.slow

SECRET = re.compile(r"SG_[0-9a-f]{32}")


def row(page: Page, secret: str) -> Locator:
    """The row of the key that ends like this one."""
    return rows(page, "keys").filter(has_text=f"SG_…{secret[-4:]}")


def made(page: Page) -> str:
    """The new key, as it is shown."""
    shown = page.get_by_test_id("new-key")
    expect(shown).to_have_value(SECRET)
    return shown.input_value()


def what_it_may(service: Service, secret: str) -> dict[str, Any]:
    """What the server says of a key."""
    answered = httpx.get(f"{service.url}/v2/account", headers={"x-api-key": secret}, timeout=60)
    return dict(answered.json()["key"]) if answered.status_code == 200 else {"status": answered.status_code}


def test_a_key_is_made_and_shown_once(open_page: Open, service: Service) -> None:
    """As chosen; to be copied; then it is nowhere on the page, in its address or in what it keeps."""
    own = new_key(service, "made", max_queued=None)
    page = open_page("/account#keys", key=own, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_test_id("key-create").click()
    expect(page.get_by_test_id("key-label")).to_be_focused()
    page.get_by_test_id("key-label").fill("night shift")
    page.get_by_test_id("may_read_history").uncheck()
    page.get_by_test_id("key-rpm").fill("5")
    page.get_by_test_id("key-max_queued").fill("")
    page.get_by_test_id("key-expiry").select_option("30")
    page.get_by_test_id("key-save").click()
    secret = made(page)
    page.get_by_test_id("key-copy").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    assert secret == page.evaluate("() => navigator.clipboard.readText()")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("new-key")).to_be_visible()
    page.get_by_test_id("key-done").click()
    expect(page.get_by_test_id("key-create")).to_be_focused()
    kept = page.evaluate("() => location.href + JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert secret not in kept + page.content() + page.get_by_test_id("new-key").input_value()
    expect(row(page, secret)).to_contain_text("night shift")
    expect(row(page, secret)).to_contain_text("5 a minute")
    key = what_it_may(service, secret)
    chosen = {"may_edit": True, "may_read_history": False, "may_manage": False, "may_disable_safety": False}
    chosen |= {"label": "night shift", "rpm": 5, "max_running": None, "max_queued": None, "retention": None}
    assert chosen == {name: key[name] for name in chosen}
    away = datetime.fromisoformat(key["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < away <= timedelta(days=30)


def test_no_more_than_it_has(open_page: Open, service: Service) -> None:
    """What the key in use lacks can't be ticked; its limits and its end are those of what it makes."""
    soon = (datetime.now(UTC) + timedelta(days=10)).timestamp()
    own = new_key(service, "narrow", rpm=5, max_queued=3, may_disable_safety=False, expires_at=soon)
    page = open_page("/account#keys", key=own)
    page.get_by_test_id("key-create").click()
    expect(page.get_by_test_id("may_disable_safety")).to_be_disabled()
    expect(page.get_by_test_id("key-rpm")).to_have_value("5")
    expect(page.get_by_test_id("key-max_queued")).to_have_value("3")
    expect(page.get_by_role("option", name="In 30 days")).to_be_disabled()
    page.get_by_test_id("key-rpm").fill("6")
    page.get_by_test_id("key-save").click()
    expect(
        page.get_by_role("alert").filter(has_text="“Submits a minute” must be a whole number from 1 to 5.")
    ).to_be_visible()
    expect(page.get_by_test_id("key-rpm")).to_be_focused()
    page.get_by_test_id("key-rpm").fill("4")
    page.get_by_test_id("key-save").click()
    key = what_it_may(service, made(page))
    assert (4, 3) == (key["rpm"], key["max_queued"])
    assert soon >= datetime.fromisoformat(key["expires_at"]).timestamp() - 0.001


def test_what_the_server_refuses_is_said_in_the_dialog(open_page: Open, service: Service, log: Log) -> None:
    """It stays open, with what was typed."""
    log.allow("400")
    page = open_page("/account#keys", key=new_key(service, "refused"))
    page.get_by_test_id("key-create").click()
    page.get_by_test_id("key-label").fill("left\u200eright")
    page.get_by_test_id("key-save").click()
    expect(page.locator("#key-problem")).to_contain_text("label must be a string")
    expect(page.get_by_test_id("key-label")).to_have_value("left\u200eright")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_test_id("key-create")).to_be_focused()


def test_a_key_is_revoked(open_page: Open, service: Service) -> None:
    """After a question that names it; what uses it is refused at once."""
    own, other = new_key(service, "revoking", label="mine"), new_key(service, "revoking", label="lost phone")
    page = open_page("/account#keys", key=own)
    row(page, other).get_by_test_id("key-revoke").click()
    expect(page.get_by_test_id("confirm")).to_contain_text(f"Revoke “lost phone” (…{other[-4:]})?")
    answer(page, yes=False)
    expect(row(page, other).get_by_test_id("key-revoke")).to_be_focused()
    assert "lost phone" == what_it_may(service, other)["label"]
    page.keyboard.press("Enter")
    answer(page, yes=True)
    expect(row(page, other)).to_have_attribute("data-state", "revoked")
    expect(row(page, other).get_by_role("button")).to_have_count(0)
    assert {"status": 401} == what_it_may(service, other)
    expect(page.get_by_role("heading", name="Keys")).to_be_focused()


def test_the_key_in_use(open_page: Open, service: Service) -> None:
    """It is marked, and can't be revoked by itself; limits and permissions are in words."""
    own = new_key(service, "in use", rpm=7, max_running=2, may_disable_safety=False, retention=0)
    page = open_page("/account#keys", key=own)
    expect(row(page, own)).to_contain_text("in use here")
    expect(row(page, own)).to_contain_text("edit, read the history, manage")
    expect(row(page, own)).to_contain_text("7 a minute, 2 running, 100 waiting, delivered once")
    expect(row(page, own).get_by_role("button")).to_have_count(0)


def test_a_label_is_text(open_page: Open, service: Service) -> None:
    """Whatever it looks like, on the page and in the question."""
    other = new_key(service, "hostile", label=WORDS)
    page = open_page("/account#keys", key=new_key(service, "hostile"))
    expect(row(page, other)).to_contain_text(WORDS)
    row(page, other).get_by_test_id("key-revoke").click()
    expect(page.get_by_test_id("confirm")).to_contain_text(f"Revoke “{WORDS}”")


def test_a_key_that_may_not_manage(open_page: Open, service: Service, log: Log) -> None:
    """Keys and webhooks say so, and ask the server for nothing."""
    page = open_page("/account#keys", key=new_key(service, "worker", may_manage=False))
    expect(section(page, "Keys")).to_contain_text("This key may not manage the account.")
    expect(page.get_by_test_id("key-create")).to_be_disabled()
    page.get_by_role("tab", name="Webhooks").click()
    for name in ("Webhooks", "Deliveries"):
        expect(section(page, name)).to_contain_text("This key may not manage the account.")
    expect(page.get_by_test_id("webhook-create")).to_be_hidden()
    assert [] == log.lines

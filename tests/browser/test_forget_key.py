"""Forgetting the key: the next one at this screen finds nothing of the last."""

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.kit import Log, new_key, sign_in
from tests.browser.playground import choose
from tests.service import Service


def test_nothing_is_left(open_page: Open, log: Log, service: Service, picture: Path) -> None:
    """Neither the key nor the prompt, nor the picture, whose signed address would go on showing it without a key."""
    log.allow(r"\b401\b")
    page = open_page("/account", url=service.url.replace("127.0.0.1", "localhost"))
    sign_in(page, new_key(service, "passer-by", credits=1))
    expect(page.get_by_test_id("sign-out")).to_be_visible()
    page.goto("/")
    choose(page, picture)
    page.get_by_test_id("prompt").fill("make it snow")
    page.get_by_test_id("run").click()
    expect(page.get_by_test_id("result")).to_have_attribute("data-state", "done")
    # As an upload would that is done only now.
    page.evaluate("() => addEventListener('pagehide', () => sessionStorage.setItem('late', 'signature'))")
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("sign-out")).to_be_hidden()
    expect(page.get_by_test_id("prompt")).not_to_have_value("make it snow")
    expect(page.locator(".input-name")).not_to_have_text(picture.name)
    kept = page.evaluate("() => [JSON.stringify({...sessionStorage, ...localStorage}), location.hash]")
    assert [[], ""] == [[word for word in ("SG_", "snow", "signature") if word in kept[0]], kept[1]]

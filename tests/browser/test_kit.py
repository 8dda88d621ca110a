"""The kit itself: what it must notice is noticed, and what it holds is held."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from tests.browser.kit import Log, axe, both_schemes, fits, held, tab_to
from tests.browser.troubles import Trouble
from tests.chaos.edits import follow, submit
from tests.service import Service, eventually

pytestmark = pytest.mark.slow

WRONG = {
    "console error": "console.error('broken')",
    "exception": "setTimeout(() => { throw new Error('broken'); })",
    "stranger": "fetch('http://127.0.0.2:9/').catch(() => null)",
    "Content Security Policy": "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))",
}


@pytest.mark.parametrize("what", WRONG)
def test_what_goes_wrong_is_noticed(browser: Browser, what: str) -> None:
    """Each kind of problem is a line of the log, and none once the test allows it."""
    log = Log(hosts={"http://service.test"})
    with browser.new_context() as context:
        log.watch(context)
        page = context.new_page()
        page.route("http://service.test/", lambda route: route.fulfill(body=_PAGE, headers=_HEADERS))
        page.goto("http://service.test/")
        assert [] == log.problems
        page.evaluate(f"() => {{ {WRONG[what]}; }}")
        # Any call lets the browser's events in.
        eventually(lambda: page.title() and log.lines)
    assert any(what in line for line in log.problems), log.problems
    log.allow(".")
    assert [] == log.problems


_PAGE = "<!doctype html><html lang=en><title>t</title><main><h1>t</h1></main></html>"
_HEADERS = {"content-security-policy": "script-src 'self'", "content-type": "text/html"}


def test_axe_notices_what_is_serious(browser: Browser) -> None:
    """A button without a name fails, a good page doesn't; in either scheme."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content(_PAGE)
        for _ in both_schemes(page):
            axe(page)
        page.set_content(_PAGE.replace("</main>", "<button></button></main>"))
        with pytest.raises(AssertionError, match="button-name"):
            axe(page)


def test_the_keyboard_and_the_width(browser: Browser) -> None:
    """An invisible focus, a place that Tab doesn't reach, and something too wide are found."""
    with browser.new_context() as context:
        page = context.new_page()
        style = "<style>#unseen:focus { outline: none } #wide { width: 3000px }</style>"
        page.set_content(f"{style}<button id=seen>a</button><button id=unseen>b</button><p id=p>c</p>")
        tab_to(page, page.locator("#seen"))
        with pytest.raises(AssertionError, match="no visible focus"):
            tab_to(page, page.locator("#unseen"))
        with pytest.raises(AssertionError, match="not reached"):
            tab_to(page, page.locator("#p"), most=5)
        fits(page)
        page.locator("#p").evaluate("(node) => { node.id = 'wide'; }")
        with pytest.raises(AssertionError):
            fits(page)


def test_an_edit_is_held_in_the_queue(service) -> None:
    """It waits as long as the block lasts, and ends after it."""
    with service.client() as client:
        with held(service):
            request_id = submit(client)
            assert "QUEUED" == client.get(f"/v2/requests/{request_id}").json()["status"]
        assert "COMPLETED" == follow(client, request_id)[1]["status"]


def test_an_edit_is_held_in_mid_step_and_the_service_restarts(own_service, slow: Path) -> None:
    """It is PROCESSING as long as the block lasts, and is completed after a restart at the same address."""
    own = own_service(model=slow, drain=0)
    address = own.url
    with own.running.client() as client:
        request_id = submit(client, 50)
        with held(own.running, step=3):
            assert "PROCESSING" == client.get(f"/v2/requests/{request_id}").json()["status"]
    own.restart()
    assert address == own.url
    with own.running.client() as client:
        assert "COMPLETED" == follow(client, request_id)[1]["status"]


OF_THE_SHARED_SERVICE = (
    "invalid_image", "invalid_key", "forbidden", "insufficient_credits", "rate_limited", "too_many_waiting", "blocked",
    "cancelled", "result_expired", "unavailable", "payload_too_large",
)  # fmt: skip


@pytest.mark.parametrize("code", OF_THE_SHARED_SERVICE)
def test_a_trouble_is_met(service: Service, trouble: Callable[[str], Trouble], code: str) -> None:
    """What a page would do ends in this error."""
    prepared = trouble(code)
    key = prepared.key or service.key
    with httpx.Client(base_url=prepared.url, headers={"x-api-key": key}, timeout=60) as client:
        assert code == _met(client, prepared)


def _met(client: httpx.Client, prepared: Trouble) -> str:
    """Run the edit; the code of what refused it, ended it, or refused to replay it."""
    fields = {"prompt": prepared.prompt, "num_inference_steps": "4"}
    answer = client.post("/v2/flux-kontext-dev", data=fields, files={"input_image": prepared.picture.read_bytes()})
    if answer.status_code != 200:
        return str(answer.json()["code"])
    request_id = answer.json()["request_id"]
    if prepared.strike is Trouble.strike:
        return str(follow(client, request_id)[1]["code"])
    prepared.strike()
    ended = client.get(f"/v2/requests/{request_id}").json()
    refused = ended if "status" in ended else client.post(f"/v2/requests/{request_id}/replay").json()
    return str(refused["code"])

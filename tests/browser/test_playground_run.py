"""Running edits at the playground: the whole way, what can go wrong on it, and interruptions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Open, Start
from tests.browser.kit import PHONE, Log, axe, fits, held, new_key, timeless, unsupervised
from tests.browser.playground import (
    cancel,
    choose,
    expect_queued,
    expect_state,
    part,
    quickly,
    run,
    shown_request,
    stored,
)
from tests.browser.troubles import Trouble
from tests.service import Service

Make = Callable[[str], Trouble]


def history(service: Service, **query: Any) -> list[dict[str, Any]]:
    """What the server knows of the account's requests, newest first."""
    with service.client() as client:
        return list(client.get("/v2/requests", params=query).json()["requests"])


def test_the_whole_way(page: Page, picture: Path, service: Service) -> None:
    """From a picture of one's own to the result, and on to the next edit of it: a child of the first."""
    choose(page, picture)
    quickly(page)
    run(page, "make it snow")
    expect_state(page, "done")
    first = shown_request(page)
    expect(part(page, "result-image")).to_be_visible()
    expect(part(page, "result-seed")).to_contain_text("42")
    part(page, "use-as-input").click()
    expect(page.locator(".input-name")).to_have_text("Edit: make it snow")
    expect(part(page, "prompt")).to_be_focused()
    page.keyboard.type("make it night")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".history-item, [data-testid=history-item]")).not_to_have_count(0)
    expect(part(page, "history")).to_contain_text("make it night")
    page.wait_for_function("(first) => !location.hash.includes(first)", arg=first)
    expect_state(page, "done")
    second = history(service)[0]
    assert (shown_request(page), first) == (second["request_id"], second["parent_request_id"])
    assert ("make it night", 4) == (second["parameters"]["prompt"], second["parameters"]["num_inference_steps"])


def test_the_whole_way_on_a_phone(open_page: Open) -> None:
    """Run leads to the result, "use as input" back to the prompt."""
    page = open_page(**PHONE)
    page.get_by_text("More settings").click()
    quickly(page)
    run(page, "make it snow")
    expect(part(page, "result")).to_be_in_viewport()
    expect_state(page, "done")
    fits(page)
    axe(page)
    part(page, "use-as-input").click()
    expect(part(page, "prompt")).to_be_focused()
    expect(part(page, "prompt")).to_be_in_viewport()


def test_all_parameters_arrive_as_they_were_set(page: Page, service: Service) -> None:
    """The largest seed too, which a number of JavaScript can't hold."""
    part(page, "aspect-4:5").check(force=True)
    part(page, "output_format").select_option("webp")
    run(page, "make it rain", guidance="2.5", num_inference_steps="4", seed="9223372036854775807", output_quality="60")
    expect_state(page, "done")
    assert {
        "prompt": "make it rain", "aspect_ratio": "4:5", "guidance": 2.5, "num_inference_steps": 4, "seed": 2**63 - 1,
        "output_format": "webp", "output_quality": 60, "disable_safety_checker": False,
    } == history(service)[0]["parameters"]  # fmt: skip
    expect(part(page, "result-seed")).to_contain_text("9223372036854775807")
    quality = part(page, "output_quality")
    quality.fill("61")
    part(page, "same-seed").click()
    expect(quality).to_have_value("60")
    expect(part(page, "seed")).to_have_value("9223372036854775807")
    expect(part(page, "prompt")).to_be_focused()


def test_variations_are_several_seeds_side_by_side(page: Page, service: Service) -> None:
    """From the seed on; one that is chosen is shown."""
    part(page, "variations-count").select_option("3")
    quickly(page)
    run(page, "make it foggy", seed="7")
    tiles = part(page, "variation")
    expect(tiles).to_have_count(3)
    for index in range(3):
        expect(tiles.nth(index)).to_have_attribute("data-state", "done")
    assert [9, 8, 7] == [each["parameters"]["seed"] for each in history(service, per_page=3)]
    tiles.nth(2).click()
    expect(part(page, "result-seed")).to_contain_text("9")
    expect(tiles.nth(2)).to_have_attribute("aria-current", "true")
    expect(part(page, "run")).to_be_visible()


def test_cancel_while_it_waits(page: Page, service: Service) -> None:
    """Run has turned into Cancel; after it everything is ready again and nothing was charged."""
    with held(service):
        run(page, "make it snow")
        expect_state(page, "queued")
        expect_queued(page)
        expect(part(page, "run")).to_be_hidden()
        cancel_late(page)
        expect_state(page, "failed")
    expect(part(page, "error-code")).to_have_text("cancelled")
    expect(part(page, "run")).to_be_visible()
    assert ("FAILED", 0.0) == tuple(history(service)[0][name] for name in ("status", "cost"))


def test_cancel_in_mid_step(own_service: Start, slow: Path, open_page: Open) -> None:
    """It ends at the next step."""
    own = own_service(model=slow)
    page = open_page(url=own.url)
    run(page, "make it snow", num_inference_steps="50")
    with held(own.running, step=2):
        expect_state(page, "processing")
        cancel_late(page)
        expect(part(page, "cancel")).to_have_text("Cancelling…")
    expect_state(page, "failed")
    expect(part(page, "error-code")).to_have_text("cancelled")


def cancel_late(page: Page) -> None:
    """Press Cancel as soon as it can't be a second press of Run any more."""
    expect(part(page, "cancel")).to_be_visible()
    page.wait_for_function("(since) => performance.now() - since > 650", arg=page.evaluate("() => performance.now()"))
    cancel(page)


def test_a_double_click_on_run_cancels_nothing(page: Page) -> None:
    """Though Cancel stands where Run was."""
    quickly(page)
    with timeless(page):
        part(page, "run").dblclick()
    expect_state(page, "done")


# What the server refuses, by code: in which words, and what the result shows then: the other edit that waits, if any.
REFUSED = {
    "forbidden": ("This key may not", "idle"),
    "insufficient_credits": ("the balance is 0 and the price is 0.04", "idle"),
    "too_many_waiting": ("1 requests waiting", "queued"),
    "queue_full": ("The queue is full", "queued"),
    "unavailable": ("storage can't be used", "idle"),
}


@pytest.mark.slow
@pytest.mark.parametrize("code", REFUSED)
def test_what_is_refused_is_said_above_run(trouble: Make, open_page: Open, log: Log, code: str) -> None:
    """The result stays as it was, and Run is there again."""
    log.allow("status of (403|406|429|503)")
    met = trouble(code)
    page = open_page(url=met.url, key=met.key)
    run(page, met.prompt)
    words, state = REFUSED[code]
    expect(part(page, "run-error")).to_contain_text(words)
    expect_state(page, state)
    expect(part(page, "run")).to_be_visible()


def test_a_limit_counts_down(trouble: Make, open_page: Open, log: Log) -> None:
    """Run says when it can be pressed again, and isn't of use before."""
    log.allow("status of 429")
    met = trouble("rate_limited")
    page = open_page(key=met.key)
    run(page)
    expect(part(page, "run-error")).to_contain_text("Rate limit of 1 requests per minute")
    button = part(page, "run")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_contain_text("Run in")
    before = button.text_content()
    expect(button).not_to_have_text(before or "")


FAILED = ["blocked", "cancelled", "inference_failed", "queue_timeout", "worker_lost"]


@pytest.mark.slow
@pytest.mark.parametrize("code", FAILED)
def test_what_fails_is_said_in_the_result(trouble: Make, open_page: Open, code: str) -> None:
    """With its code, and Run is there again."""
    met = trouble(code)
    page = open_page(url=met.url, key=met.key)
    run(page, met.prompt, num_inference_steps="50")
    part(page, "result").and_(
        page.locator("[data-state=queued], [data-state=processing], [data-state=failed]")
    ).wait_for()
    met.strike()
    expect_state(page, "failed")
    expect(part(page, "error-code")).to_have_text(code)
    expect(part(page, "run")).to_be_visible()


def test_a_picture_that_cannot_be_fetched_is_said_at_the_picture_too(page: Page) -> None:
    """It is fetched when the edit runs."""
    part(page, "address-open").click()
    part(page, "address").fill("http://127.0.0.1:9/photo.png")
    part(page, "address-use").click()
    run(page, "make it snow")
    expect_state(page, "failed")
    expect(part(page, "error-code")).to_have_text("fetch_failed")
    expect(part(page, "input-error")).to_be_visible()


@pytest.mark.slow
def test_a_server_that_is_gone(trouble: Make, open_page: Open, log: Log) -> None:
    """Said above Run; once it is back, the same press works."""
    log.allow("ERR_")
    met = trouble("offline")
    page = open_page(url=met.url)
    expect(part(page, "estimate")).to_contain_text("×")
    expect(part(page, "history-empty")).to_be_visible()
    met.strike()
    run(page, "make it snow")
    expect(part(page, "run-error")).to_contain_text("The server can't be reached")
    expect(part(page, "run")).to_be_visible()


def test_an_answer_that_is_lost_is_not_paid_twice(page: Page, service: Service, log: Log) -> None:
    """The server took it in, the page never heard: pressing Run again follows the same request."""
    log.allow("ERR_FAILED")
    lost: list[str] = []

    def lose(route: Route) -> None:
        lost.append(route.fetch().json()["request_id"])
        route.abort()

    page.route("**/v2/flux-kontext-dev", lose, times=1)
    quickly(page)
    run(page, "make it sepia")
    expect(part(page, "run-error")).to_be_visible()
    part(page, "run").click()
    expect_state(page, "done")
    assert lost == [shown_request(page)] == [history(service)[0]["request_id"]]
    part(page, "run").click()
    page.wait_for_function("(id) => !location.hash.includes(id)", arg=lost[0])
    expect_state(page, "done")


def test_an_upload_that_has_expired_is_made_anew(page: Page, log: Log) -> None:
    """Its address is refused; the picture is at hand, so nobody has to know."""
    log.allow("status of 400")
    expect(part(page, "estimate")).to_contain_text("×")
    kept = stored(page, "openkontext-input")
    assert urlsplit(kept["url"]).path.startswith("/files/uploads/")
    changed = json.dumps(kept | {"url": kept["url"] + "0"})
    page.evaluate("(text) => sessionStorage.setItem('openkontext-input', text)", changed)
    page.reload()
    quickly(page)
    run(page, "make it snow")
    expect_state(page, "done")


def test_who_has_no_key_is_asked_with_the_first_edit(open_page: Open, service: Service, log: Log) -> None:
    """Not before; a wrong one is asked for again, a right one runs the edit, and the key is in the tab alone."""
    log.allow("status of 401")
    page = open_page(service.url.replace("127.0.0.1", "localhost"))
    expect(part(page, "prompt")).to_be_visible()
    expect(part(page, "key-dialog")).to_be_hidden()
    quickly(page)
    run(page, "make it snow")
    expect(part(page, "key-dialog")).to_be_visible()
    part(page, "key-input").fill("SG_wrong")
    part(page, "key-submit").click()
    expect(part(page, "key-error")).to_be_visible()
    secret = new_key(service)
    part(page, "key-input").fill(secret)
    part(page, "key-submit").click()
    expect_state(page, "done")
    expect(part(page, "history-item").first).to_be_visible()
    assert secret not in page.url
    assert secret not in page.evaluate("() => JSON.stringify(localStorage) + document.cookie")


def test_no_key_no_edit(open_page: Open, service: Service, log: Log) -> None:
    """Who declines is told above Run."""
    log.allow("status of 401")
    page = open_page(service.url.replace("127.0.0.1", "localhost"))
    run(page, "make it snow")
    part(page, "key-dialog").get_by_text("Not now").click()
    expect(part(page, "run-error")).to_have_text("A key is needed to run an edit.")
    expect_state(page, "idle")


def test_a_reload_in_mid_edit_finds_it_again(own_service: Start, slow: Path, open_page: Open) -> None:
    """By the address; by the tab's memory on the way back from another page; by the history in a new tab."""
    own = own_service(model=slow)
    page = open_page(url=own.url)
    run(page, "make it snow", num_inference_steps="50")
    with held(own.running, step=2):
        expect_state(page, "processing")
        page.reload()
        expect_state(page, "processing")
        expect(part(page, "cancel")).to_be_visible()
        part(page, "nav").get_by_text("Model").click()
        part(page, "nav").get_by_text("Playground").click()
        expect_state(page, "processing")
        other = open_page(url=own.url)
        expect_state(other, "processing")
        expect(part(other, "run")).to_be_visible()
    expect_state(page, "done")
    expect(part(page, "run")).to_be_visible()
    expect_state(other, "done")
    linked = open_page(f"/#request={shown_request(page)}", url=own.url)
    expect_state(linked, "done")


def test_a_restart_in_mid_edit(own_service: Start, slow: Path, open_page: Open, log: Log) -> None:
    """The page says that it reconnects, goes on by itself, and has the right result in the end."""
    log.allow("ERR_", "status of 503")
    own = own_service(model=slow)
    page = open_page(url=own.url)
    run(page, "make it snow", num_inference_steps="50")
    with held(own.running, step=2), unsupervised(own.running):
        expect_state(page, "processing")
        own.running.child("gateway").kill()
        expect(part(page, "reconnecting")).to_be_visible()
    own.restart()
    expect_state(page, "done")
    expect(part(page, "reconnecting")).to_be_hidden()
    entry = history(own.running)[0]
    assert (shown_request(page), "COMPLETED", 1) == (entry["request_id"], entry["status"], len(history(own.running)))


def test_a_link_to_nothing(open_page: Open, log: Log) -> None:
    """An edit that is gone, or somebody else's, is said to be."""
    log.allow("status of 404")
    page = open_page("/#request=00000000-0000-4000-8000-000000000000")
    expect(part(page, "error-code")).to_have_text("not_found")
    expect(part(page, "run")).to_be_visible()

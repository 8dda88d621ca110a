"""The operator's page: what it shows of the service, draining and resuming, and who may."""

import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from openkontext.store import Store
from tests.browser.conftest import Open, Start
from tests.browser.kit import PHONE, Log, axe, both_schemes, fits, held, new_key, sign_in, tab_to
from tests.chaos.edits import follow, submit
from tests.service import Service

pytestmark = pytest.mark.slow

# `own_service` comes before `open_page` among the fixtures: what is set up last is closed first, and a page that still
# looks every two seconds would find the server gone.
WORDS = "<img src=x onerror=alert(1)> & \"quotes\" 'too'"


@pytest.fixture
def operator(open_page: Open, service: Service) -> Page:
    """The page of the shared service."""
    return open_operator(open_page, service)


@pytest.fixture
def store(service: Service) -> Iterator[Store]:
    """The shared service's own store."""
    with store_of(service) as opened:
        yield opened


def store_of(service: Service) -> AbstractContextManager[Store]:
    """The store of ``service``, by a clock that is ahead: a worker of which it is told isn't lost for all of a test."""
    return closing(Store.open(service.data / "openkontext.db", clock=lambda: time.time() + 3600))


def open_operator(open_page: Open, service: Service) -> Page:
    """The page of ``service`` as an operator has it, once it shows the worker."""
    page = open_page("/operator", url=service.url)
    page.get_by_role("button", name="Use an operator's key").click()
    sign_in(page, new_key(service, may_operate=True))
    expect(page.get_by_test_id("worker").first).to_be_visible()
    expect(page.get_by_role("heading", name="Operator", exact=True)).to_be_focused()
    return page


def worker(page: Page) -> Any:
    """The card of the first worker."""
    return page.get_by_test_id("worker").first


def test_a_worker_is_drained_and_resumed(own_service: Start, open_page: Open, slow: Path) -> None:
    """It ends its edit, then takes no more: what is submitted waits, until it is resumed."""
    service = own_service(model=slow).running
    page = open_operator(open_page, service)
    with service.client() as client:
        first = submit(client, steps=50)
        with held(service, step=1), store_of(service) as store:
            store.report_worker(store.workers()[0].id, state="busy")
            expect(worker(page)).to_have_attribute("data-state", "busy")
            expect(worker(page)).to_contain_text(re.compile(rf"Edit {first[:8]}, step \d+ of 50"))
            worker(page).get_by_test_id("drain").click()
            expect(worker(page)).to_have_attribute("data-state", "draining")
            expect(worker(page).get_by_test_id("resume")).to_be_focused()
        expect(worker(page)).to_have_attribute("data-state", "drained")
        expect(page.get_by_test_id("notice")).to_have_text("No worker takes edits until one is resumed")
        assert "COMPLETED" == follow(client, first)[1]["status"]
        second = submit(client)
        expect(page.get_by_test_id("queue-depth")).to_have_text("1")
        expect(page).to_have_title("1 waiting · openkontext")
        worker(page).get_by_test_id("resume").click()
        assert "COMPLETED" == follow(client, second)[1]["status"]
    expect(page.get_by_test_id("queue-depth")).to_have_text("0")
    expect(worker(page)).to_have_attribute("data-state", "ready")
    expect(page.get_by_test_id("run-times")).to_contain_text(re.compile(r"\d s"))


def test_all_are_drained_once_that_is_confirmed(own_service: Start, open_page: Open) -> None:
    """Draining all asks first, resuming doesn't; where no worker is, the page says so, and what to do."""
    own = own_service()
    page = open_operator(open_page, own.running)
    page.get_by_test_id("drain-all").click()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("drain-dialog")).to_be_hidden()
    expect(worker(page)).to_have_attribute("data-state", "ready")
    page.get_by_test_id("drain-all").click()
    page.get_by_test_id("drain-confirm").click()
    expect(worker(page)).to_have_attribute("data-state", "drained")
    expect(page.get_by_test_id("drain-all")).to_be_focused()
    expect(page.get_by_test_id("drain-all")).to_have_attribute("aria-disabled", "true")
    page.get_by_test_id("resume-all").click()
    expect(worker(page)).to_have_attribute("data-state", "ready")
    with held(own.running), store_of(own.running) as store:
        store.forget_worker(store.workers()[0].id)
        expect(page.get_by_text("No worker is running")).to_be_visible()
        expect(page).to_have_title("No worker · openkontext")


def test_the_server_is_away_for_a_while(own_service: Start, open_page: Open, log: Log) -> None:
    """What was there stays, that the server is away is said, and the page goes on by itself."""
    log.allow("ERR_", "503")
    own = own_service()
    page = open_operator(open_page, own.running)
    expect(page.get_by_test_id("notice")).to_have_text("Up to date")
    own.stop()
    expect(page.get_by_test_id("notice")).to_contain_text("Trying again in")
    expect(page).to_have_title("Away · openkontext")
    expect(worker(page)).to_be_visible()
    own.start()
    expect(page.get_by_test_id("notice")).to_have_text("Up to date")
    assert httpx.get(f"{own.url}/healthz", timeout=60).is_success


def test_without_operator_rights(open_page: Open, service: Service, log: Log) -> None:
    """Who needs no key for edits needs one here: the page says how to make it, and takes no other."""
    log.allow("403")
    page = open_page("/operator")
    expect(page.get_by_role("heading", name="This page is for operators")).to_be_visible()
    expect(page.get_by_text("openkontext keys create --operator", exact=True)).to_be_visible()
    axe(page)
    page.get_by_role("button", name="Use an operator's key").click()
    sign_in(page, new_key(service))
    expect(page.get_by_text("The key in use has no operator rights.", exact=True)).to_be_visible()
    expect(page.get_by_test_id("workers")).to_be_hidden()
    expect(page.get_by_test_id("drain-all")).to_be_hidden()


def test_failures_are_shown_as_text(operator: Page, service: Service) -> None:
    """A failure of an account with markup in its name comes into the table by itself, as text."""
    secret = new_key(service, WORDS, credits=1)
    edit = {"input_image": f"{service.url}/no-such-picture.png?<b>", "prompt": "make it snow"}
    with service.client() as client:
        client.headers["x-api-key"] = secret
        request_id = client.post("/v2/flux-kontext-dev", json=edit).json()["request_id"]
        failed = follow(client, request_id)[1]
    row = operator.get_by_test_id("recent-failures").get_by_role("row").filter(has_text=request_id)
    expect(row).to_be_visible()
    told = row.get_by_role("cell").all_inner_texts()
    assert [failed["code"], failed["error"], WORDS, request_id] == told[1:]
    expect(operator.get_by_test_id("failures")).to_contain_text(failed["code"])
    expect(operator.get_by_test_id("times-chart").get_by_role("img")).to_be_visible()


def test_another_worker_comes_last_and_crashes(operator: Page, store: Store) -> None:
    """A new card never moves those before it, a crash is told in the worker's own words, and one pointed at stays."""
    store.report_worker("a-first-by-name", state="ready", device="NVIDIA H100", checkpoint="dev", pid=1)
    card = operator.get_by_test_id("worker").last
    expect(card).to_contain_text("NVIDIA H100")
    expect(card).to_have_attribute("data-state", "ready")
    before = card.bounding_box()
    store.report_worker("a-first-by-name", state="crashed", message=WORDS)
    expect(card).to_have_attribute("data-state", "crashed")
    expect(card).to_contain_text(WORDS)
    assert before == card.bounding_box()
    card.hover()
    store.forget_worker("a-first-by-name")
    expect(card).to_have_attribute("data-state", "gone")
    operator.mouse.move(0, 0)
    expect(operator.get_by_text("NVIDIA H100")).to_have_count(0)


def test_by_keyboard(operator: Page) -> None:
    """Every control is reached by Tab, with a focus that shows and that a look at the server doesn't take away."""
    tab_to(operator, operator.get_by_test_id("drain-all"))
    tab_to(operator, worker(operator).get_by_test_id("drain"))
    with operator.expect_response("**/v2/operator"):
        pass
    expect(worker(operator).get_by_test_id("drain")).to_be_focused()
    operator.get_by_test_id("drain-all").focus()
    operator.keyboard.press("Enter")
    expect(operator.get_by_test_id("drain-dialog")).to_be_visible()
    operator.keyboard.press("Escape")


def test_it_is_accessible(operator: Page) -> None:
    """axe finds nothing serious, in light and dark, at a desk and on a phone, where nothing is too wide."""
    for _ in both_schemes(operator):
        axe(operator)
    operator.set_viewport_size(PHONE["viewport"])
    fits(operator)
    axe(operator)

"""Variations: several seeds side by side, each with its own state; one is shown, and its seed can be taken."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open
from tests.browser.kit import DARK, PHONE, axe, both_schemes, fits, held
from tests.browser.playground import expect_state, part, quickly, run
from tests.service import Service

pytestmark = pytest.mark.slow


def tiles(page: Page, state: str, count: int) -> Locator:
    """All tiles, once so many are in a state."""
    expect(page.locator(f"[data-testid=variation][data-state={state}]")).to_have_count(count)
    return part(page, "variation")


def vary(page: Page, count: int = 2, seed: str = "7") -> None:
    """Run an edit with so many seeds."""
    part(page, "variations-count").select_option(str(count))
    quickly(page)
    run(page, "make it foggy", seed=seed)


def test_each_has_its_seed_its_picture_and_its_state(page: Page, service: Service) -> None:
    """They wait one behind the other, and end one by one; those that wait have no picture yet."""
    with held(service):
        vary(page)
        found = tiles(page, "queued", 2)
        expect(found.locator("img")).to_have_count(0)
        expect(found.first).to_have_attribute("aria-current", "true")
    tiles(page, "done", 2)
    expect(found.locator("img")).to_have_count(2)
    assert ["Seed 7", "Seed 8"] == [each.locator("span").nth(1).inner_text() for each in found.all()]


def test_one_is_chosen_and_its_seed_taken(page: Page) -> None:
    """A click shows it in place of the other; its seed goes into the form."""
    vary(page)
    found = tiles(page, "done", 2)
    expect(part(page, "result-seed")).to_have_text("7")
    found.nth(1).click()
    expect(part(page, "result-seed")).to_have_text("8")
    expect(found.nth(1)).to_have_attribute("aria-current", "true")
    expect(part(page, "variations").locator("[aria-current]")).to_have_count(1)
    part(page, "variations").get_by_role("button", name="Use this seed").nth(1).click()
    expect(part(page, "seed")).to_have_value("8")


def test_a_result_is_varied_with_new_seeds(page: Page) -> None:
    """Four of them, which the server draws; a single edit takes their place."""
    quickly(page)
    run(page, "make it snow")
    expect_state(page, "done")
    part(page, "make-variations").click()
    found = tiles(page, "done", 4)
    seeds = {each.locator("span").nth(1).inner_text() for each in found.all()}
    assert 4 == len(seeds)
    assert "Seed 42" not in seeds
    run(page)
    expect(part(page, "variations")).to_be_hidden()


def test_those_that_are_cancelled_say_so(page: Page, service: Service) -> None:
    """All of what one press of Run asked for."""
    with held(service):
        vary(page)
        tiles(page, "queued", 2)
        part(page, "result-cancel").click()
        found = tiles(page, "failed", 2)
    expect(found.first).to_contain_text("Cancelled")
    expect_state(page, "failed")


@pytest.mark.parametrize("screen", [{}, PHONE | DARK], ids=["desk", "phone"])
def test_everybody_can_use_them(open_page: Open, screen: dict[str, Any]) -> None:
    """No serious violation in light or dark, nothing wider than the screen, with a seed of 19 digits too."""
    page = open_page(**screen)
    if not part(page, "num_inference_steps").is_visible():
        page.get_by_text("More settings").click()
    vary(page, seed="9223372036854775806")
    tiles(page, "done", 2)
    fits(page)
    for _ in both_schemes(page):
        axe(page, inside="[data-testid=variations]")

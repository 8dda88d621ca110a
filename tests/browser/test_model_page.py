"""The model page: what it says is what the contract and the server say; everybody can read it."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from openkontext import __version__, web
from openkontext.contract import CODES, EXAMPLE_PROMPT, PARAMETERS, SLUG, State
from tests.browser.kit import DARK, PHONE, axe, both_schemes, fits, tab_to, timeless
from tests.browser.programs import set_playground
from tests.chaos.edits import follow, submit
from tests.service import Service, eventually

pytestmark = pytest.mark.slow

PATH = f"/models/{SLUG}"
Open = Callable[..., Page]


def told(service: Service) -> dict[str, Any]:
    """What the server says of the model."""
    return dict(httpx.get(f"{service.url}/v1/models/{SLUG}", timeout=60).json())


def test_the_parameters_are_the_contracts(open_page: Open) -> None:
    """Each by name with type, help, what is allowed, and its default."""
    page = open_page(PATH)
    for parameter in PARAMETERS:
        row = page.locator(f"[data-testid=parameters] #parameter-{parameter.name}")
        expect(row).to_contain_text(parameter.name + " " + parameter.type)
        expect(row).to_contain_text(parameter.help)
        for choice in parameter.choices or (parameter.allowed[1:],):
            expect(row).to_contain_text(choice)
        default = "required" if parameter.required else str(parameter.default)
        expect(row.locator(".default")).to_contain_text(default, ignore_case=True)
    assert len(PARAMETERS) == page.locator("[data-testid=parameters] dt").count()


def test_the_states_errors_and_price(open_page: Open, service: Service) -> None:
    """In the contract's words; the price is this server's."""
    page = open_page(PATH)
    states = page.get_by_test_id("states").locator("dt").all_text_contents()
    assert [each.value for each in State] == states
    rows = page.get_by_test_id("errors").locator("tbody tr").all()
    shown = {tuple(row.locator("td").all_text_contents()) for row in rows}
    assert {(str(status), code, text[0].upper() + text[1:]) for code, (status, text) in CODES.items()} == shown
    price = told(service)["price"]
    expect(page.get_by_test_id("price")).to_contain_text(f"{price} credits")


def test_the_latency_is_measured_here(open_page: Open, service: Service) -> None:
    """After an edit its size is in the table, with the number of edits."""
    with service.client() as client:
        assert "COMPLETED" == follow(client, submit(client))[1]["status"]
    # It is noted behind the end.
    eventually(lambda: (128, 128) in [(each["width"], each["height"]) for each in told(service)["latency"]])
    measured = told(service)["latency"]
    rows = open_page(PATH).get_by_test_id("latency").locator("tbody tr").all_text_contents()
    assert len(measured) == len(rows)
    assert f"{measured[0]['width']} × {measured[0]['height']}" in rows[0]


def test_an_edit_of_the_usual_steps_is_reckoned() -> None:
    """35 steps and all else; before there is any edit, the page says so."""
    measured = {"checkpoint": "nano", "width": 128, "height": 96, "step_seconds": 0.25, "other_seconds": 1.5}
    shown = _rendered([measured | {"samples": 4}])
    assert "128 × 96" in shown
    assert "10.25 s" in shown
    assert "Not measured yet" not in shown
    assert "Not measured yet" in _rendered([])


def _rendered(latency: list[dict[str, Any]]) -> str:
    context = {"root": "", "assets": "", "slug": SLUG, "parameters": PARAMETERS, "states": list(State), "codes": CODES}
    context |= {
        "samples": web.SAMPLES,
        "price": 0.04,
        "example_prompt": EXAMPLE_PROMPT,
        "session": True,
        "loopback_url": "",
    }
    return web.render("model", **context, version=__version__, latency=latency)


SCREENS = pytest.mark.parametrize("screen", [{}, PHONE], ids=["desk", "phone"])


@SCREENS
def test_everybody_can_read_it(open_page: Open, screen: dict[str, object]) -> None:
    """axe finds nothing serious in light and dark, with all that the panel has; nothing is wider than the screen."""
    page = open_page(PATH, **screen)
    page.get_by_test_id("language-go").click()
    page.get_by_test_id("variant-webhook").check()
    expect(page.get_by_test_id("receiver")).to_be_visible()
    for _ in both_schemes(page):
        axe(page)
    fits(page)


def test_dark(open_page: Open) -> None:
    """Who prefers dark colours gets them."""
    light, dark = open_page(PATH), open_page(PATH, **DARK)
    ask = "() => getComputedStyle(document.body).backgroundColor"
    assert sum(_rgb(light.evaluate(ask))) > 600
    assert sum(_rgb(dark.evaluate(ask))) < 150


def _rgb(colour: str) -> list[int]:
    return [int(each) for each in colour.removeprefix("rgb(").removesuffix(")").split(",")]


def test_the_keyboard_does_everything(open_page: Open) -> None:
    """From the contents to a section, along the languages, to a variant, to the copy."""
    page = open_page(PATH)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab_to(page, page.get_by_role("link", name="Errors").first)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{PATH}#errors")
    expect(page.get_by_role("heading", name="Errors")).to_be_in_viewport()
    tab_to(page, page.get_by_test_id("language-curl"), backwards=True)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("language-python")).to_be_focused()
    tab_to(page, page.get_by_test_id("variant-sync"))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("variant-async")).to_be_checked()
    expect(page.get_by_test_id("snippet")).to_contain_text("client.submit_async")
    tab_to(page, page.get_by_test_id("copy"))
    with timeless(page):
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("copy")).to_have_text("Copied")


@SCREENS
def test_it_can_be_linked(open_page: Open, screen: dict[str, object]) -> None:
    """A link to a parameter or an error leads to it, below the header that stays."""
    for target in ("parameter-seed", "error-blocked"):
        page = open_page(f"{PATH}#{target}", **screen)
        expect(page.locator(f"#{target}")).to_be_in_viewport()
        top = page.locator(f"#{target}").evaluate("(node) => node.getBoundingClientRect().top")
        assert page.locator("header.site").evaluate("(node) => node.offsetHeight") <= top < 900
        expect(page.locator(f"a[href='#{target}'].anchor")).to_be_visible()


def test_the_picture_can_be_had(open_page: Open) -> None:
    """The example's, for who has none at hand; of a file of one's own nothing is offered."""
    page = open_page(PATH)
    link = page.locator("#code-picture a")
    name = link.text_content() or ""
    expect(page.get_by_test_id("snippet")).to_contain_text(f"input_image=@{name}")
    found = httpx.get(link.evaluate("(node) => node.href"), timeout=60)
    assert (200, "image/webp") == (found.status_code, found.headers["content-type"])
    set_playground(page, {"prompt": "make it snow", "file_name": "mine.png"})
    expect(link).to_be_hidden()
    set_playground(page, {"prompt": "make it snow", "file_name": "astronaut.webp"})
    expect(link).to_have_attribute("href", re.compile(r"/samples/astronaut\.webp$"))


def test_back_to_the_playground(open_page: Open) -> None:
    """Where the values of the code are set."""
    page = open_page(PATH)
    page.get_by_role("link", name="Change it in the playground").click()
    expect(page).to_have_url("/")


def test_nothing_moves_when_the_scripts_have_run(open_page: Open) -> None:
    """The layout doesn't shift: the code has its place before it is there."""
    page = open_page(PATH)
    expect(page.get_by_test_id("snippet")).to_be_visible()
    moved = page.evaluate(
        """() => new Promise((resolve) => new PerformanceObserver((list) => {
             resolve(list.getEntries().reduce((sum, each) => sum + each.value, 0));
           }).observe({ type: "layout-shift", buffered: true })
           || setTimeout(() => resolve(0), 300))"""
    )
    assert moved < 0.01

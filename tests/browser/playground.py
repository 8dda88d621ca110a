"""What tests do at the playground again and again."""

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect


def part(page: Page, name: str) -> Locator:
    """The element, or elements, of a data-testid."""
    return page.get_by_test_id(name)


def choose(page: Page, picture: Path, *, fails: bool = False) -> None:
    """Pick a file, and wait until it was taken or refused."""
    part(page, "file-input").set_input_files(picture)
    if fails:
        expect(part(page, "input-error")).to_be_visible()
    else:
        expect(page.locator(".input-name")).to_have_text(picture.name)


def run(page: Page, prompt: str | None = None, **settings: str) -> None:
    """Fill in the prompt and settings, by name of the parameter, and press Run."""
    if prompt is not None:
        part(page, "prompt").fill(prompt)
    for name, value in settings.items():
        part(page, name).fill(value)
    part(page, "run").click()


def quickly(page: Page) -> None:
    """Ask for the fewest steps."""
    part(page, "num_inference_steps").fill("4")


def cancel(page: Page, name: str = "cancel") -> None:
    """Press a button that cancels, and wait until the server has heard of it: the edit may go on after that."""
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        part(page, name).click()


def expect_queued(page: Page) -> None:
    """Wait until the edit is in the server's queue, and not only on its way there."""
    expect(part(page, "queue-position")).to_have_text(re.compile("queue"))


def expect_state(page: Page, state: str) -> None:
    """Wait until the result is in a state: idle, queued, processing, done or failed."""
    # Steps take long on a busy machine.
    expect(part(page, "result")).to_have_attribute("data-state", state, timeout=60_000)


def shown_request(page: Page) -> str:
    """The id of the request that the page's address names."""
    return page.url.partition("#request=")[2]


def stored(page: Page, name: str) -> Any:
    """What the tab keeps under a name, parsed."""
    return page.evaluate("(name) => JSON.parse(sessionStorage.getItem(name))", name)

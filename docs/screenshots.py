"""The pictures of the pages in docs/images: `make screenshots` runs a service with nano and takes them all.

What they show is done for them: real edits of the samples, by the model that the service starts with.
"""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.browser.kit import CHROMIUM, FLAGS, PHONE, held, new_key, wait_for_worker, with_key
from tests.service import Service, eventually

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}}
# Prompts, each with the place of the edit that it goes on from; without one it is of the sample.
LINEAGE = (
    ("turn it black and white", None),
    ("change the background to a beach", None),
    ("make it night", 1),
    ("add fog", 2),
    ("make it snow", 1),
)


def main() -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        settings = {"lease": 600, "step_timeout": 600, "threads": 0}
        with Service(Path(folder) / "data", "nano", **settings) as service:
            wait_for_worker(service)
            expect.set_options(timeout=120_000)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            take_all(browser, service)
            browser.close()


def take_all(browser: Browser, service: Service) -> None:
    """Each picture, in the order in which the service gets into its state."""
    with opened(browser, service, "/", DESK) as page:
        page.locator("[data-testid=sample][data-sample=tiger]").click()
        page.get_by_test_id("prompt").fill("make it snow")
        save(page, "playground")
        run_slowly(page, service)
        save(page, "playground-done")
        page.emulate_media(color_scheme="dark")
        save(page, "playground-dark")
    make_history(service)
    show(browser, service, "/", "playground-phone", PHONE)
    show_error(browser, service)
    show(browser, service, "/", "history", DESK, inside="history")
    show(browser, service, "/models/flux-kontext-dev", "model", DESK)
    show(browser, service, "/account", "account", DESK)
    show(browser, service, "/docs", "docs", DESK)
    show(browser, service, "/operator", "operator", DESK, key=new_key(service, may_operate=True))


def run_slowly(page: Page, service: Service) -> None:
    """Run what the playground is set to; stop in the middle for a picture."""
    result = page.get_by_test_id("result")
    page.get_by_test_id("run").click()
    with held(service, step=20):
        expect(page.get_by_test_id("preview")).to_be_visible()
        save(page, "playground-running")
    expect(result).to_have_attribute("data-state", "done")
    expect(page.get_by_test_id("before-after")).to_be_visible()


def make_history(service: Service) -> None:
    """Edits of a sample, and of one another."""
    done: list[dict[str, Any]] = []
    with service.client() as client:
        sample = (ROOT / "samples" / "tiger.webp").read_bytes()
        uploaded = client.post("/upload-asset", files={"file": ("tiger.webp", sample)}).json()["file_urls"][0]
        for prompt, parent in LINEAGE:
            source = uploaded if parent is None else done[parent]["output"]
            done.append(edit(client, {"input_image": source, "prompt": prompt}))


def edit(client: httpx.Client, fields: dict[str, Any]) -> dict[str, Any]:
    """The result of an edit."""
    accepted = client.post("/v2/flux-kontext-dev", json=fields).raise_for_status().json()

    def ended() -> dict[str, Any] | None:
        body: dict[str, Any] = client.get(accepted["response_url"]).raise_for_status().json()
        return body if body["status"] == "COMPLETED" else None

    result: dict[str, Any] = eventually(ended, within=300, every=0.5)
    return result


def show_error(browser: Browser, service: Service) -> None:
    """An account with nothing to spend tries to edit."""
    with opened(browser, service, "/", DESK, key=new_key(service, "poor")) as page:
        page.locator("[data-testid=sample][data-sample=astronaut]").click()
        page.get_by_test_id("run").click()
        expect(page.get_by_test_id("run-error")).to_be_visible()
        save(page, "playground-error")


def show(browser: Browser, service: Service, path: str, name: str, screen: dict[str, Any], **more: Any) -> None:
    """A page as it comes, or the part of it with a test id."""
    inside = more.pop("inside", None)
    with opened(browser, service, path, screen, **more) as page:
        save(page.get_by_test_id(inside) if inside else page, name)


@contextmanager
def opened(browser: Browser, service: Service, path: str, screen: dict[str, Any], *, key: str = "") -> Iterator[Page]:
    """A page in a context of its own, once all that it asks for is there."""
    with browser.new_context(base_url=service.url, **screen) as context:
        if key:
            context.add_init_script(with_key(key))
        page = context.new_page()
        page.goto(path)
        page.wait_for_load_state("networkidle")
        yield page


def save(what: Page | Locator, name: str) -> None:
    """Write docs/images/NAME.webp."""
    image = Image.open(io.BytesIO(what.screenshot(animations="disabled"))).convert("RGB")
    image.save(IMAGES / f"{name}.webp", quality=88, method=6)


if __name__ == "__main__":
    main()

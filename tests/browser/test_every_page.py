"""What holds of every page: it is small, quick to be read, fits, and stands still."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from openkontext.contract import SLUG
from tests.browser.edits import Past
from tests.browser.kit import PHONE, STILL, WIDE, fits
from tests.service import Service

pytestmark = pytest.mark.slow

PATHS = ("/", f"/models/{SLUG}", "/account", "/operator", "/docs")
LARGEST = 100_000
# Of the layout's shift; a tenth is what counts as good.
STEADY = 0.01
_SHIFTS = """() => new Promise((resolve) => {
  let sum = 0;
  const add = (list) => list.getEntries().forEach((each) => { sum += each.hadRecentInput ? 0 : each.value; });
  new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
  // Entries that are buffered come before the second frame from now.
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => resolve(sum))));
})"""

# Bytes by address, of all but pictures.
_SIZES = """() => Object.fromEntries(["navigation", "resource"]
  .flatMap((kind) => performance.getEntriesByType(kind))
  .filter(({ name, initiatorType }) => initiatorType !== "img" && !/\\.(webp|png|jpe?g)\\b/.test(name))
  .map(({ name, encodedBodySize }) => [name, encodedBodySize]))"""

Open = Callable[..., Page]
ON_EACH = pytest.mark.parametrize("path", PATHS)


@pytest.fixture(scope="module")
def operator(service: Service) -> Iterator[str]:
    """A key that may see every page, of an account with two edits whatever other tests have made."""
    past = Past(service, "of every page", may_operate=True)
    past.edit("make it night", of=past.edit("make it snow"))
    yield past.key
    past.client.close()


def quiet(page: Page) -> Page:
    """The page, once nothing more is asked for."""
    page.wait_for_load_state("networkidle")
    return page


@ON_EACH
def test_it_is_small(open_page: Open, operator: str, path: str) -> None:
    """Under 100 KB before pictures, as they come over the wire (150 as they are: tests of the templates)."""
    sizes = quiet(open_page(path, key=operator)).evaluate(_SIZES)
    assert len(sizes) > 4
    assert sum(sizes.values()) < LARGEST, sizes


@pytest.mark.parametrize("screen", [PHONE | STILL, WIDE], ids=["phone", "wide"])
@ON_EACH
def test_it_fits_and_stands_still(open_page: Open, operator: str, path: str, screen: dict[str, object]) -> None:
    """No scrolling sideways; what comes later finds its place kept."""
    page = quiet(open_page(path, key=operator, **screen))
    fits(page)
    assert page.evaluate(_SHIFTS) < STEADY

"""The charts' drawing: round grids, labels with room, gaps where nothing was measured."""

from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open

pytestmark = pytest.mark.slow

IMPORT = "const module = (name) => import(`${document.documentElement.dataset.assets}/js/${name}.js`);"
DRAW = f"""async ([kind, options]) => {{
  {IMPORT}
  const charts = await module("chart");
  const figure = document.querySelector("#drawn") ?? document.createElement("figure");
  Object.assign(figure, {{ id: "drawn", className: "chart" }});
  document.body.append(figure);
  charts[kind](figure, options);
}}"""


@pytest.fixture(scope="module")
def ticks(browser: Any, service: Any) -> Any:
    """`ticks` of js/chart-scale.js, as the browser runs it."""
    with browser.new_context(base_url=service.url) as context:
        page = context.new_page()
        page.goto("/docs")
        call = f"async ([most, options]) => {{ {IMPORT} return (await module('chart-scale')).ticks(most, options); }}"
        yield lambda most, **options: page.evaluate(call, [most, options])


def draw(page: Page, kind: str, **options: Any) -> Locator:
    """The figure, at the end of the page, in which a chart is drawn."""
    page.evaluate(DRAW, [kind, {"title": "Things", "unit": "things"} | options])
    return page.locator("#drawn")


def series(*values: float | None, name: str = "things") -> dict[str, Any]:
    """A series of these values."""
    return {"name": name, "values": values, "token": "--chart-1"}


@pytest.fixture
def blank(open_page: Open) -> Page:
    """A page with the charts' styles, to draw on: what stands above the drawing is there and moves it no more."""
    page = open_page("/account")
    expect(page.locator("[data-loaded]")).to_have_count(3)
    return page


@pytest.mark.parametrize(
    ("most", "options", "expected"),
    [
        (1, {"whole": True}, [0, 1]),
        (7, {"whole": True}, [0, 2, 4, 6, 8]),
        (987, {"whole": True}, [0, 250, 500, 750, 1000]),
        (0.37, {}, [0, 0.1, 0.2, 0.3, 0.4]),
        (0.0004, {"time": True}, [0, 0.0001, 0.0002, 0.0003, 0.0004]),
        (50, {"time": True}, [0, 15, 30, 45, 60]),
        (400, {"time": True}, [0, 120, 240, 360, 480]),
        (1e6, {"time": True}, [0, 259200, 518400, 777600, 1036800]),
    ],
)
def test_the_grid_is_round(ticks: Any, most: float, options: dict[str, bool], expected: list[float]) -> None:
    """Whole numbers of whole things, times by which people count, and never more than four steps."""
    assert expected == ticks(most, **options)


def test_bars_upon_each_other(blank: Page) -> None:
    """Each is where the one below it ends, but for a thin gap; what is little can be seen too."""
    both = [series(500, 0), series(500, 1, name="others")]
    figure = draw(blank, "barChart", labels=["one", "two"], series=both)
    bars = figure.locator(".chart-bar")
    expect(bars).to_have_count(3)
    lower, upper, little = (bar.bounding_box() for bar in bars.all())
    assert lower
    assert upper
    assert little
    assert upper["y"] + upper["height"] + 1 == pytest.approx(lower["y"], abs=0.1)
    assert upper["height"] == pytest.approx(lower["height"] + 1, abs=0.1)
    assert little["height"] >= 1.5
    expect(figure.locator("caption")).to_have_text("Things (things)")
    expect(figure.locator("tbody tr").last).to_have_text("two01")


def test_a_line_with_a_gap(blank: Page) -> None:
    """Nothing measured is no line; a lonely value is a dot, and the table says none."""
    figure = draw(blank, "lineChart", labels=list("abcde"), unit="seconds", series=[series(1, 2, None, 3, None)])
    path = figure.locator(".chart-path").get_attribute("d")
    assert path
    assert 2 == path.count("M")
    expect(figure.locator(".chart-dot")).to_have_count(1)
    expect(figure.locator("td")).to_have_text(["1.0 s", "2.0 s", "none", "3.0 s", "none"])


def test_labels_have_room(blank: Page) -> None:
    """Only so many are written as fit, the last among them; anew when the width changes."""
    labels = [f"{number} Nov" for number in range(1, 31)]
    written = draw(blank, "barChart", labels=labels, series=[series(*range(30))]).locator(".chart-label")
    wide = written.count()
    expect(written.last).to_have_text("30 Nov")
    blank.set_viewport_size({"width": 360, "height": 800})
    expect(written.nth(wide - 1)).to_have_count(0)
    boxes = [box for box in (label.bounding_box() for label in written.all()) if box]
    assert all(one["x"] + one["width"] + 4 < other["x"] for one, other in pairwise(boxes))
    expect(written.last).to_have_text("30 Nov")


def test_nothing_to_draw(blank: Page) -> None:
    """It says so, in the place of the chart, and isn't in the way of Tab."""
    figure = draw(blank, "barChart", labels=["a"], series=[series(0)], empty="No failures.")
    expect(figure.locator("text")).to_have_text("No failures.")
    expect(figure.get_by_role("img")).to_have_attribute("tabindex", "-1")
    height = figure.evaluate("(node) => node.offsetHeight")
    draw(blank, "barChart", labels=["a"], series=[series(5)])
    expect(figure.get_by_role("img")).to_have_attribute("tabindex", "0")
    assert height == figure.evaluate("(node) => node.offsetHeight")

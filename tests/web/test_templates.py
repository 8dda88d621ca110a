"""The pages as they are sent: whole, small, self-contained, and with nothing that the policy would stop."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath

import pytest
from PIL import Image

from openkontext import web
from openkontext.gateway import Services, create_app
from openkontext.settings import Settings
from openkontext.web.files import FOLDER
from tests.gateway.harness import connect

PATHS = {
    "playground": "/",
    "model": "/models/flux-kontext-dev",
    "account": "/account",
    "operator": "/operator",
    "docs": "/docs",
}
ASSETS = f"/static/{web.VERSION}/"
# With what pages and their files may weigh, pictures apart.
MOST_BYTES = 150_000

# Of modules that are loaded with the page; `import()` loads one when it is wanted. Snippets have imports of others.
IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["'](\.[^"']+)["']""")
LATER = re.compile(r"""\bimport\(\s*["'](\.[^"']+)["']""")
CSS_FILE = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")
# A host with a dot in it; this machine, the namespaces of SVG and the names that are reserved for examples are not.
ELSEWHERE = re.compile(
    r"(?:https?:|wss?:|[\"'(=\s])//(?!127\.0\.0\.1\b|www\.w3\.org/|(?:[a-z0-9-]+\.)*example\.(?:com|org)\b)[\w-]+\.\w"
)
# A link may lead elsewhere: nothing is fetched from there until somebody follows it.
LINK = re.compile(r"""<a href="https://[^"]+" rel="noreferrer">""")
URLS = {"src", "href", "srcset", "action", "formaction", "poster", "data", "xlink:href"}
SOURCES = sorted(path for path in FOLDER.parent.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg"))


@dataclass
class Page(HTMLParser):
    """What a page's HTML has in it."""

    html: str
    links: list[tuple[str, str, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.links += [(tag, name, given[name]) for name in given if name in URLS]
        self.ids += filter(None, [given.get("id")])
        inline = tag == "script" and "src" not in given and given.get("type") != "application/json"
        handlers = [name for name in given if name.startswith("on") or name == "style"]
        if inline or handlers or tag in ("style", "base", "iframe", "object", "embed"):
            self.forbidden.append(self.get_starttag_text() or tag)

    @property
    def files(self) -> list[str]:
        """The style sheets and scripts that it loads, as names under static/."""
        loaded = [url for tag, _, url in self.links if tag in ("script", "link")]
        return [url.removeprefix(ASSETS) for url in loaded if url.startswith(ASSETS)]


def needed(path: str, *, later: bool) -> Iterator[str]:
    """What a style sheet or script loads itself, at once or ``later`` too, as names under static/."""
    file = web.asset(path)
    text = file.content.decode() if file and path.endswith((".js", ".css")) else ""
    found = IMPORT.findall(text) + (LATER.findall(text) if later else [])
    found = found if path.endswith(".js") else [a or b for a, b in CSS_FILE.findall(text)]
    yield from (normpath(join(dirname(path), each)) for each in found if not each.startswith(("data:", "#")))


def all_files(page: Page, *, later: bool) -> set[str]:
    """The style sheets and scripts that a page loads, and what those load, to the end."""
    found: set[str] = set()
    waiting = page.files
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += needed(path, later=later)
    return found


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[dict[str, Page]]:
    """Each page, as anybody gets it; where nothing was measured yet."""
    services = Services.open(Settings(data=tmp_path))
    async with connect(create_app(services)) as http:
        yield {name: Page((await http.get(path)).text) for name, path in PATHS.items()}
    services.store.close()


async def test_every_page_renders(pages: dict[str, Page]) -> None:
    """With its title, its name, and the parts that all have."""
    assert list(web.PAGES) == list(pages)
    for name, page in pages.items():
        assert f'class="page-{name}"' in page.html
        assert re.search(r"<title>\w[^<]*</title>", page.html)
        assert {"main", "announcer", "key-dialog"} <= set(page.ids)
        assert 1 == page.html.count('aria-current="page"')


@pytest.mark.parametrize("session", [True, False])
async def test_with_and_without_a_session(tmp_path: Path, session: bool) -> None:
    """Where no key is needed, and where the address at which none is needed is told."""
    services = Services.open(Settings(data=tmp_path), on_loopback=True)
    _, secret = services.store.create_key(services.store.create_account("local").id)
    (tmp_path / "api-key").write_text(secret)
    base = "http://127.0.0.1" if session else "http://localhost"
    async with connect(create_app(services), base=base) as http:
        for path in PATHS.values():
            response = await http.get(path)
            assert (200, session) == (response.status_code, "data-session" in response.text)
            assert [] == Page(response.text).forbidden
    services.store.close()


async def test_nothing_that_the_policy_stops(pages: dict[str, Page]) -> None:
    """No script, style or handler in the page itself, no frame, no other base."""
    assert {} == {name: page.forbidden for name, page in pages.items() if page.forbidden}


async def test_every_file_is_there(pages: dict[str, Page]) -> None:
    """Those that pages name, and those that their scripts and style sheets name."""
    for name, page in pages.items():
        local = [url for tag, _, url in page.links if tag != "a" and not url.startswith("data:")]
        assert [] == [url for url in local if not url.startswith("/")]
        named = {url.removeprefix(ASSETS) for url in local if url.startswith(ASSETS)}
        assert [] == [path for path in named | all_files(page, later=True) if web.asset(path) is None], name


async def test_links_lead_to_pages(pages: dict[str, Page]) -> None:
    """To one of ours, to a sample, into the same one, or openly elsewhere."""
    samples = (f"{ASSETS}samples/{sample.name}.webp" for sample in web.SAMPLES)
    known = {*PATHS.values(), "/openapi.json", *samples}
    for name, page in pages.items():
        paths = {url.partition("#")[0].partition("?")[0] for tag, _, url in page.links if tag == "a"}
        assert {path for path in paths - {""} if not path.startswith("https://")} <= known, name
        anchors = {url[1:] for tag, _, url in page.links if tag == "a" and url.startswith("#") and len(url) > 1}
        assert anchors <= set(page.ids), name


async def test_ids_are_unique(pages: dict[str, Page]) -> None:
    """Or labels and scripts would find the first alone."""
    for name, page in pages.items():
        assert [] == [id for id in set(page.ids) if page.ids.count(id) > 1], name


async def test_pages_are_small(pages: dict[str, Page]) -> None:
    """The HTML, and all styles and scripts that are loaded with it, before they are compressed."""
    weights = {}
    for name, page in pages.items():
        files = [web.asset(path) for path in all_files(page, later=False)]
        weights[name] = len(page.html.encode()) + sum(len(file.content) for file in files if file)
    assert {} == {name: weight for name, weight in weights.items() if weight > MOST_BYTES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_address_of_another_host(path: Path) -> None:
    """Everything works without the internet, and tells nobody."""
    lines = LINK.sub("", path.read_text()).splitlines()
    assert [] == [line for line in lines if ELSEWHERE.search(line)]


UNSAFE = re.compile(
    r"\|\s*safe\b|autoescape false|Markup\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\("
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_texts_stay_texts(path: Path) -> None:
    """Neither a template nor a script makes HTML of a text."""
    assert [] == [line for line in path.read_text().splitlines() if UNSAFE.search(line)]


def test_texts_are_escaped() -> None:
    """Whatever the context has in it."""
    hostile = "</title><script>alert(1)</script>"
    assert "&lt;/title&gt;" in web.templates._ENVIRONMENT.from_string("{{ text }}").render(text=hostile)


def test_a_missing_name_is_a_defect() -> None:
    """And not an empty place on a page."""
    with pytest.raises(Exception, match="is undefined"):
        web.render("account")


def test_samples_are_pictures_that_are_there() -> None:
    """Each file in the table, at its size, described, and with prompts to try."""
    files = {path.stem for path in (FOLDER / "samples").glob("*.webp")}
    assert files == {sample.name for sample in web.SAMPLES}
    for sample in web.SAMPLES:
        with Image.open(FOLDER / "samples" / f"{sample.name}.webp") as picture:
            assert (sample.width, sample.height) == picture.size
        assert sample.title
        assert sample.alt
        assert len(set(sample.prompts)) == len(sample.prompts) >= 3

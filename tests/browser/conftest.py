"""One browser and one service for all tests of the pages; a fresh context, as of a newcomer, for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.edits import Past
from tests.browser.kit import CHROMIUM, FLAGS, Log, OwnService, sample_picture, wait_for_worker, with_key
from tests.browser.troubles import TROUBLES, Stage, Trouble
from tests.checkpoints import make_tiny_checkpoint
from tests.service import Service

# So long that a worker or a webhook's receiver may stand still for all of a test, and nobody takes it for dead.
PATIENT = {
    "lease": 600,
    "step_timeout": 600,
    "webhook_timeout": 600,
    "webhook_allow_hosts": "127.0.0.1",
    "fetch_allow_hosts": "127.0.0.1",
}
SECONDS = 60

Open = Callable[..., Page]
Start = Callable[..., OwnService]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, without a window.

    Of the package, not the session: as long as playwright runs, its event loop counts as running in this thread,
    and no asynchronous test could run.
    """
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint that edits at 128 x 128 within a second."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "model", max_area=128**2)


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint whose 50 steps take some seconds: time to do something to an edit in mid-step."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("slow") / "model", max_area=512**2)


@pytest.fixture(scope="session")
def service(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service that tests share: it may post webhooks to loopback. Who needs peace has an account of its own."""
    with Service(tmp_path_factory.mktemp("service") / "data", tiny, **PATIENT) as running:
        wait_for_worker(running)
        yield running


@pytest.fixture
def own_service(tiny: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a service for this test alone, with these settings; ``model`` is the tiny one unless named."""
    started: list[OwnService] = []

    def start(*, model: Path | str = tiny, ready: bool = True, **settings: object) -> OwnService:
        own = OwnService(tmp_path / f"data-{len(started)}", model, **PATIENT | settings)
        started.append(own)
        if ready:
            wait_for_worker(own.running)
        return own

    yield start
    for each in started:
        each.running.close()


@pytest.fixture
def log() -> Iterator[Log]:
    """What goes wrong in this test's pages; anything that it doesn't allow fails it."""
    found = Log(hosts=set())
    yield found
    assert [] == found.problems


@pytest.fixture
def open_page(browser: Browser, service: Service, log: Log) -> Iterator[Open]:
    """Open a path of the shared service, or of the service at ``url``, in a fresh context of the given options.

    With ``key`` as if it had been typed in this tab.
    """
    contexts = []

    def open_it(path: str = "/", *, url: str = "", key: str | None = None, **options: Any) -> Page:
        base = url or service.url
        # The one address is also known by the name, at which nobody is let in without a key.
        log.hosts |= {base, base.replace("127.0.0.1", "localhost")}
        context = browser.new_context(**{"base_url": base, "viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(SECONDS * 1000)
        log.watch(context)
        if key:
            context.add_init_script(with_key(key))
        page = context.new_page()
        page.goto(path)
        return page

    yield open_it
    for context in contexts:
        context.close()


@pytest.fixture
def past(service: Service, request: pytest.FixtureRequest) -> Iterator[Past]:
    """An account of this test alone, with 10 credits and no edits yet."""
    found = Past(service, request.node.name)
    yield found
    found.client.close()


@pytest.fixture
def trouble(service: Service, own_service: Start, slow: Path, tmp_path: Path) -> Iterator[Callable[[str], Trouble]]:
    """Prepare an error by its code, one of `TROUBLES`."""
    with ExitStack() as stack:
        yield lambda code: TROUBLES[code](Stage(service, own_service, slow, tmp_path, stack))


@pytest.fixture
def page(open_page: Open) -> Page:
    """The shared service's playground, at a desk, in light colours."""
    return open_page("/")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """The file of a small picture."""
    return sample_picture(tmp_path)

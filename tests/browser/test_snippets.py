"""Each snippet is read from the page as printed and run against the service; what it wrote is looked at."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

import openkontext.web
from openkontext.contract import DEFAULTS, SLUG
from tests.browser.kit import Log, free_port, sample_picture, timeless
from tests.browser.programs import LANGUAGES, NODE, Programs, printed, set_playground
from tests.receivers import receiving
from tests.service import Service, eventually

pytestmark = pytest.mark.slow

# What a shell, a string literal, a template and a form could take for something else than text.
PROMPT = """-it's "so" \\ \\n $(touch pwned) `touch pwned` ${HOME} %s {0} <b>&amp;</b> */ // # ; | 'a' + 'b'
@/etc/passwd \u202etxet\u202c \ufeff\u2028 🐯 ünï"""
PICTURE = """it's "a"; $(touch pwned), tiger.webp"""
SEED = 2**63 - 25
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}
VALUES = {
    "prompt": PROMPT,
    "aspect_ratio": "16:9",
    "guidance": 3.5,
    "num_inference_steps": 4,
    # More digits than JavaScript's numbers have, so that the playground keeps it as text.
    "seed": str(SEED),
    "output_format": "webp",
    "output_quality": 71,
    "disable_safety_checker": False,
    "file_name": PICTURE,
}
EACH = [(language, variant) for language, (_, variants) in LANGUAGES.items() for variant in variants.split()]


def of(variants: str) -> list[Any]:
    """The languages and variants to run; Go's compiler takes its time."""
    chosen = [each for each in EACH if each[1] in variants.split()]
    slow = (pytest.mark.slow, pytest.mark.timeout(900))
    return [pytest.param(*each, marks=slow if each[0] == "go" else ()) for each in chosen]


@pytest.fixture(scope="module")
def model(browser: Browser, service: Service) -> Iterator[Page]:
    """The model page, one for all of these tests: each chooses what it looks at."""
    log = Log(hosts={service.url})
    with browser.new_context(base_url=service.url) as context:
        log.watch(context)
        page = context.new_page()
        page.goto(f"/models/{SLUG}")
        yield page
    assert [] == log.problems


@pytest.fixture
def programs(service: Service, tmp_path: Path) -> Iterator[Programs]:
    """A folder with the picture, and the service's key; nothing that a prompt says was done there."""
    folder = tmp_path / "programs"
    folder.mkdir()
    sample_picture(folder, name=PICTURE)
    with service.client() as client:
        secret = client.get("/v2/webhooks/secret").json()["secret"]
    yield Programs(folder, {"OPENKONTEXT_API_KEY": service.key, "OPENKONTEXT_WEBHOOK_SECRET": secret})
    assert not list(tmp_path.rglob("pwned*"))


@pytest.mark.parametrize(("language", "variant"), of("sync async"))
def test_it_edits(model: Page, service: Service, programs: Programs, language: str, variant: str) -> None:
    """The picture is there in the format asked for, and the service was asked for what the playground is set to."""
    form = list(FORMATS)[EACH.index((language, variant)) % 3]
    set_playground(model, VALUES | {"output_format": form})
    done = programs.run(printed(model, language, variant), language)
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert_edited(programs.folder / f"edited.{form}", FORMATS[form])
    assert_asked(service, form)


def test_the_older_official_client(model: Page, service: Service, programs: Programs) -> None:
    """segmind 1.1.0 runs the snippets too."""
    set_playground(model, VALUES)
    old = str(Path(__file__).parents[2] / ".venv" / "segmind-1.1.0")
    for variant in ("sync", "async"):
        done = programs.run(printed(model, "segmind", variant), "segmind", PYTHONPATH=old)
        assert (0, "") == (done.returncode, done.stderr)
        assert_edited(programs.folder / "edited.webp", "WEBP")


@pytest.mark.parametrize(("language", "variant"), [each for each in of("webhook") if "curl" not in each.values])
def test_a_webhook_arrives(model: Page, programs: Programs, language: str, variant: str) -> None:
    """The receiver as printed takes what the server posts, writes the picture, and takes nothing else."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/hooks/edits?a=1&b='2'"
    set_playground(model, VALUES)
    program = _with_webhook(model, language, url)
    with programs.started(printed(model, language, variant, "receiver"), language) as receiver:
        eventually(lambda: _refuses(url), within=300)
        done = programs.run(program, language)
        assert 0 == done.returncode, done.stderr
        assert receiver.stdout
        state, request_id = receiver.stdout.readline().split()
        assert "COMPLETED" == state
        assert request_id in done.stdout
        assert_edited(programs.folder / "edited.webp", "WEBP")


def test_a_webhook_is_checked_by_hand(model: Page, programs: Programs) -> None:
    """curl's submit names the webhook; openssl tells what the server signed from what it didn't."""
    set_playground(model, VALUES)
    with receiving() as receiver:
        done = programs.run(_with_webhook(model, "curl", receiver.url), "curl")
        assert 0 == done.returncode, done.stderr
        arrived = eventually(lambda: receiver.received)[0]
    (programs.folder / "body.json").write_text(arrived.body)
    check = printed(model, "curl", "webhook", "receiver")
    names = {"id": "webhook-id", "timestamp": "webhook-timestamp", "signature": "webhook-signature"}
    headers = {name: arrived.headers[header] for name, header in names.items()}
    assert programs.run(check, "curl", **headers).stdout.startswith("COMPLETED ")
    forged = programs.run(check, "curl", **headers | {"id": "evt_1"})
    assert ("", "This is not from the server\n") == (forged.stdout, forged.stderr)


@pytest.mark.parametrize(("language", "variant"), of("sync async"))
def test_it_says_what_is_wrong(model: Page, programs: Programs, language: str, variant: str) -> None:
    """A refused edit is told in the server's words, and not as a picture."""
    set_playground(model, VALUES | {"prompt": "Undress her"})
    text = printed(model, language, variant)
    assert "Undress her" in text
    done = programs.run(text, language)
    assert "safety checker" in done.stdout + done.stderr


def _with_webhook(model: Page, language: str, url: str) -> str:
    printed(model, language, "webhook")
    model.get_by_test_id("webhook-url").fill(url)
    return printed(model, language, "webhook")


def _refuses(url: str) -> bool:
    """Whether the receiver is up, and takes nothing that isn't signed."""
    headers = {"webhook-id": "evt_1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
    try:
        answer = httpx.post(url, json={"status": "COMPLETED"}, headers=headers, timeout=10)
    except httpx.TransportError:
        return False
    assert 401 == answer.status_code
    return True


def assert_edited(path: Path, form: str) -> None:
    """The file is a picture of this format, in the shape that was asked for."""
    with Image.open(path) as image:
        assert form == image.format
        assert abs(image.width / image.height - 16 / 9) < 0.15


def assert_asked(service: Service, form: str) -> None:
    """The newest request has the parameters of the playground."""
    with service.client() as client:
        asked = client.get("/v2/requests?per_page=1").json()["requests"][0]["parameters"]
    wanted = {name: VALUES[name] for name in DEFAULTS} | {"seed": SEED, "output_format": form, "prompt": PROMPT}
    # A form in JavaScript has other ends of lines.
    assert wanted == asked | {"prompt": asked["prompt"].replace("\r\n", "\n")}


def written(values: dict[str, Any]) -> dict[str, Any]:
    """What js/snippets.js writes of the playground's values, by language and variant, and its defaults."""
    path = Path(openkontext.web.__file__).parent / "static" / "js" / "snippets.js"
    program = f"""
        import {{ DEFAULTS, LANGUAGES, VARIANTS, snippet }} from {json.dumps(str(path))};
        const write = (language, variant) => snippet(language, variant, {json.dumps(values)}, {{ baseUrl: "" }});
        const keys = LANGUAGES.flatMap(({{ id }}) => VARIANTS.map((variant) => [id, variant.id]));
        console.log(JSON.stringify({{ texts: keys.map((key) => [key, write(...key)]), defaults: DEFAULTS }}));"""
    command = [NODE, "--input-type=module", "--eval", program]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return {"texts": {tuple(key): text for key, text in shown["texts"]}, "defaults": shown["defaults"]}


def test_the_languages_and_the_defaults() -> None:
    """There are these, and what they leave out is what the contract has for it."""
    shown = written({})
    assert EACH == [key for key, text in shown["texts"].items() if text is not None]
    assert DEFAULTS == shown["defaults"]


@pytest.mark.parametrize("named", [{}, DEFAULTS])
def test_only_what_differs_is_named(named: dict[str, Any]) -> None:
    """With every parameter at its default a snippet names none of them: but OpenAI's route would draw a seed."""
    texts = written({"prompt": "make it snow", **named})["texts"]
    found = {(*key, name) for key in EACH for name in DEFAULTS if name in texts[key]}
    assert {("openai", "sync", "seed")} == found
    assert all('"make it snow"' in texts[key] or "'prompt=make it snow'" in texts[key] for key in EACH)


def test_a_blank_seed_stays_blank() -> None:
    """The server draws one; -1 says so in every language."""
    texts = written({"prompt": "make it snow", "seed": None})["texts"]
    assert all(re.search(r"seed\W+-1\b", texts[key]) for key in EACH)


def test_it_follows_the_playground(open_page: Callable[..., Page]) -> None:
    """What is set while the page is open shows at once, also in words; a missing prompt is the example's."""
    model = open_page(f"/models/{SLUG}")
    snippet = model.get_by_test_id("snippet")
    expect(snippet).to_contain_text("bokeh")
    set_playground(model, {"prompt": "make it night", "guidance": 2})
    expect(snippet).to_contain_text("make it night")
    expect(snippet).to_contain_text("guidance=2")
    expect(model.get_by_text("“make it night”.")).to_be_visible()
    model.reload()
    expect(snippet).to_contain_text("make it night")


def test_where_there_is_no_such_variant(model: Page) -> None:
    """The panel says so instead of showing something else."""
    for language, variant, has in [("openai", "async", False), ("segmind", "webhook", False), ("go", "webhook", True)]:
        printed(model, language, variant)
        expect(model.get_by_test_id("snippet")).to_be_visible(visible=has)
        expect(model.get_by_test_id("copy")).to_be_visible(visible=has)
        expect(model.locator("#code-note")).to_be_visible(visible=not has)


def test_an_address_that_is_none(model: Page) -> None:
    """It is told at the field, and no snippet has it."""
    text = _with_webhook(model, "curl", "javascript:alert(1)")
    assert "alert" not in text
    expect(model.get_by_test_id("webhook-url")).to_have_attribute("aria-invalid", "true")
    expect(model.get_by_role("alert").filter(has_text="whole address")).to_be_visible()


def test_copying(model: Page) -> None:
    """The clipboard gets the snippet as it is, and the button says so."""
    model.context.grant_permissions(["clipboard-read", "clipboard-write"])
    set_playground(model, VALUES)
    text = printed(model, "go", "sync")
    with timeless(model):
        model.get_by_test_id("copy").click()
        expect(model.get_by_test_id("copy")).to_have_text("Copied")
    expect(model.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    assert text == model.evaluate("() => navigator.clipboard.readText()")


def test_the_choice_is_kept_and_the_key_is_not(model: Page, service: Service) -> None:
    """The language is the same after a reload; neither page nor storage has a key in a snippet."""
    printed(model, "javascript", "async")
    model.reload()
    expect(model.get_by_test_id("language-javascript")).to_have_attribute("aria-selected", "true")
    expect(model.get_by_test_id("variant-async")).to_be_checked()
    assert service.key not in model.content() + model.evaluate("() => JSON.stringify({...localStorage})")

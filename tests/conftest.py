"""A clean environment for every test, and no silent skips in continuous integration."""

import os
import signal
from collections.abc import Iterator

import pytest

# Before anything imports huggingface_hub, which reads it once.
os.environ["HF_HUB_OFFLINE"] = "1"
# Two threads, unless processes run tests side by side: they would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")


# A shell starts background jobs with SIGINT ignored, and every process that a test starts would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests lie where `make test-slow` looks for them: to import all the others would take it half a minute."""
    slow = [item.nodeid for item in items if item.get_closest_marker("slow")]
    if stray := [each for each in slow if not each.startswith(("tests/chaos/", "tests/browser/"))]:
        raise pytest.UsageError(f"slow tests belong in tests/chaos or tests/browser: {stray}")


@pytest.fixture(scope="session", autouse=True)
def _own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is left in the developer's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("xdg")))
        yield


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, address or setting of the developer's shell reaches a test."""
    for name in list(os.environ):
        if name.startswith(("OPENKONTEXT_", "SEGMIND_")):
            monkeypatch.delenv(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where CI is set, a skipped test is a failed one: what must run has run, or the build says so."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI must run every test: {report.longrepr}"
    return report

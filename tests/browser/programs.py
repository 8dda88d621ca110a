"""The programs that the code panel prints: read from the page, saved as it says, and run."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import playwright
from playwright.sync_api import Page

NODE = Path(playwright.__file__).parent / "driver" / "node"
# What runs a file, by its suffix.
_RUN = {".sh": ["bash"], ".py": [sys.executable], ".mjs": [str(NODE)], ".mts": [str(NODE)], ".go": ["go", "run"]}
# By language: the suffix of its file, and the variants that it has.
LANGUAGES = {
    "curl": (".sh", "sync async webhook"),
    "python": (".py", "sync async webhook"),
    "requests": (".py", "sync async webhook"),
    "segmind": (".py", "sync async"),
    "openai": (".py", "sync"),
    "javascript": (".mjs", "sync async webhook"),
    "typescript": (".mts", "sync async webhook"),
    "go": (".go", "sync async webhook"),
}
# The first time, Go compiles its library too.
SECONDS = 600


def printed(page: Page, language: str, variant: str, testid: str = "snippet") -> str:
    """The text of a snippet as the page shows it."""
    page.get_by_test_id(f"language-{language}").click()
    page.get_by_test_id(f"variant-{variant}").check()
    return page.get_by_test_id(testid).text_content() or ""


def set_playground(page: Page, values: Mapping[str, Any]) -> None:
    """Set what the playground is set to, as it does itself."""
    module = "import(`${document.documentElement.dataset.assets}/js/values.js`)"
    page.evaluate(f"(values) => {module}.then(({{ saveValues }}) => saveValues(values))", dict(values))


@dataclass(frozen=True)
class Programs:
    """Runs programs in a folder, with these variables and little else in their environment."""

    folder: Path
    variables: Mapping[str, str]

    def run(self, text: str, language: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """The finished program."""
        return subprocess.run(
            self._command(text, language, "edit"),
            cwd=self.folder,
            env=self._environment(variables),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    @contextmanager
    def started(self, text: str, language: str, **variables: str) -> Iterator["subprocess.Popen[str]"]:
        """The program as long as the block lasts; its output is a pipe."""
        program = subprocess.Popen(
            self._command(text, language, "receiver"),
            cwd=self.folder,
            env=self._environment(variables),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield program
        finally:
            # All of the session: `go run` has the program as its child.
            os.killpg(program.pid, 9)
            program.wait()
            assert program.stdout
            program.stdout.close()

    def _command(self, text: str, language: str, name: str) -> list[str]:
        suffix = LANGUAGES[language][0]
        (self.folder / f"{name}{suffix}").write_text(text)
        return [*_RUN[suffix], f"{name}{suffix}"]

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)])
        home = {"HOME": os.environ.get("HOME", str(self.folder)), "PATH": path, "LANG": "C.UTF-8"}
        return {**home, **self.variables, **variables}

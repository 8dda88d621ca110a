"""What is installed is what was locked: every package by its version and hashes, here and in the container."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
# A package, its version, and at least one hash.
ENTRY = re.compile(r"([a-z0-9-]+)==([\w.+]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


def locked(name: str) -> dict[str, Version]:
    """The packages of a lock file with their versions."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {match[1]: Version(match[2]) for match in ENTRY.finditer(text)}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_nothing_but_versions_and_hashes(path: Path) -> None:
    """No line of a lock is anything else: no range, no URL, no index, no package without a hash."""
    rest = ENTRY.sub("", path.read_text())
    assert [] == [line for line in rest.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(("extra", "lock"), [("serve", "serve"), ("serve", "dev"), ("dev", "dev"), ("", "sdk")])
def test_what_the_project_asks_for_is_locked(extra: str, lock: str) -> None:
    """Each requirement of pyproject.toml, at a version that it allows; `make lock` renews the files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(each) for each in project["optional-dependencies"].get(extra, project["dependencies"])]
    versions = locked(lock)
    unmet = [
        str(each)
        for each in asked
        if each.name != "openkontext-nano"  # from the checkout
        and not ((found := versions.get(canonicalize_name(each.name))) and found in each.specifier)
    ]
    assert [] == unmet


def test_the_service_is_tested_with_what_it_is_shipped_with() -> None:
    """The container's versions are those of the tests."""
    tested = locked("dev")
    assert [] == [name for name, found in locked("serve").items() if tested.get(name) != found]


def test_this_environment_is_the_locked_one() -> None:
    """Whichever build of PyTorch it has."""
    installed = {name: Version(version(name)).public for name in locked("dev")}
    assert {name: found.public for name, found in locked("dev").items()} == installed


def test_the_container_has_no_root_and_nothing_unlocked() -> None:
    """It ends as a user with a number, and every package comes by its hash or from the checkout."""
    text = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
    users = re.findall(r"^USER (.*)$", text, re.MULTILINE)
    assert ["10001:10001"] == users
    assert text.index("USER ") > text.rindex("\nRUN ")
    installs = re.findall(r"\$PIP install ([^;&|\n]*)", text)
    assert 4 == len(installs)
    assert [] == [each for each in installs if "--require-hashes" not in each and "./checkpoints/nano ." not in each]
    assert all("--no-deps" in each for each in installs)

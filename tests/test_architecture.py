"""Arrows of import go one way (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "openkontext"

# What each part may import of the others; `contract` is open to all.
ARROWS = {
    "contract": set(),
    "engine": set(),
    "store": set(),
    "media": set(),
    "safety": set(),
    "client": set(),
    "web": set(),
    "settings": set(),
    "process": set(),
    "parts": {"settings", "store", "media", "safety"},
    "gateway": {"store", "media", "settings", "parts", "process", "web"},
    "provenance": {"engine", "media"},
    "worker": {"engine", "store", "media", "safety", "settings", "parts", "process", "provenance"},
    "service": {"store", "media", "settings", "parts", "process", "worker"},
    "local": {"engine", "media", "parts", "provenance", "safety", "settings"},
    "replaying": {"engine", "media", "local", "provenance", "settings"},
    "remote": {"client", "local"},
    "cli": {
        "service",
        "gateway",
        "worker",
        "local",
        "remote",
        "replaying",
        "client",
        "store",
        "media",
        "settings",
        "parts",
        "process",
    },
    "__init__": {"client"},
    "__main__": {"cli"},
}
# The only outside packages of the parts that must stay light.
OUTSIDE = {"contract": set(), "client": {"httpx", "PIL"}}


def imports(path):
    """The dotted names that a file imports, relative ones resolved."""
    package = ("openkontext", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def part_of(path):
    """The part that a file belongs to."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_arrows_of_import_go_one_way(path):
    """A part imports itself, the contract, and what is drawn for it."""
    part = part_of(path)
    names = [name.split(".") for name in imports(path) if name.split(".")[0] == "openkontext"]
    seen = {name[1] for name in names if len(name) > 1} - {part, "contract", "__version__"}
    assert seen <= ARROWS[part], f"{part} must not import {sorted(seen - ARROWS[part])}"


@pytest.mark.parametrize("part", OUTSIDE)
def test_light_parts_import_next_to_nothing(part):
    """The contract is standard library only; the SDK adds httpx (and Pillow, where the caller already uses it)."""
    import sys

    outside = {
        name.split(".")[0]
        for path in FILES
        if part_of(path) == part
        for name in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names and name.split(".")[0] != "openkontext"
    }
    assert outside <= OUTSIDE[part]


def test_every_part_is_drawn():
    """A new module gets its place among the arrows."""
    assert {part_of(path) for path in FILES} <= set(ARROWS)

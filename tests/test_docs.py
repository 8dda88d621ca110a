"""What the docs say is what the code does."""

import re
import runpy
from pathlib import Path

import pytest

import openkontext

ROOT = Path(__file__).parents[1]
TABLES = runpy.run_path(str(ROOT / "docs" / "tables.py"))


@pytest.mark.parametrize("path", TABLES["FILES"], ids=lambda path: path.name)
def test_tables_are_up_to_date(path):
    """`make docs` was run: parameters, states, errors and settings are as in the code."""
    assert TABLES["with_tables"](path.read_text()) == path.read_text()


@pytest.mark.parametrize("name", TABLES["TABLES"])
def test_every_table_stands_somewhere(name):
    """A setting, parameter, state or code that is not documented fails here."""
    assert any(f"<!-- table: {name} -->" in path.read_text() for path in TABLES["FILES"])


@pytest.mark.parametrize("path", TABLES["FILES"], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    """Relative links and pictures exist."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", path.read_text())
    targets = [link for pair in links for link in pair if link and not link.startswith(("http", "mailto"))]
    assert [] == [target for target in targets if not (path.parent / target).exists()]


def test_the_public_surface_is_documented():
    """Every public name of the SDK is in docs/sdk.md, and nothing else is exported."""
    text = (ROOT / "docs" / "sdk.md").read_text()
    assert [] == [name for name in openkontext.__all__ if f"`{name}" not in text]

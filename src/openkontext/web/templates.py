"""The templates, each compiled once."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .reference import Reference, name_of

PAGES = ("playground", "model", "account", "operator", "docs")

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    # A name that the context lacks is a defect, and not an empty place on a page.
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters |= {"reference": Reference, "name_of": name_of}


def render(page: str, **context: Any) -> str:
    """The HTML of one of `PAGES`; the context has what gateway/pages.py says, and ``page`` itself."""
    return _ENVIRONMENT.get_template(f"{page}.html").render(page=page, **context)

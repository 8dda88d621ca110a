"""The templates, each compiled once."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .reference import Reference, name_of

PAGES = ("playground", "model", "account", "operator", "docs")


class _Unindented(FileSystemLoader):
    """Indentation is for those who read the templates: a tenth of what a page would weigh."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, filename, is_current = super().get_source(environment, template)
        return re.sub(r"(?m)^ +", " ", source), filename, is_current


_ENVIRONMENT = Environment(
    loader=_Unindented(Path(__file__).with_name("templates")),
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

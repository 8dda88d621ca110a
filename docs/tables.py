"""The tables of README.md and docs/, made from the code: `python docs/tables.py` rewrites them, a test compares.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from openkontext.contract import CODES, PARAMETERS, State
from openkontext.settings import Settings, as_text

ROOT = Path(__file__).parents[1]
FILES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_TABLE = re.compile(r"<!-- table: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), ["---"] * len(list(head)), *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parameters() -> str:
    """What a request may say."""
    rows = (
        (
            f"`{parameter.name}`",
            parameter.type,
            "**required**" if parameter.required else f"`{str(parameter.default).lower()}`",
            parameter.allowed,
            parameter.help,
        )
        for parameter in PARAMETERS
    )
    return markdown(("name", "type", "default", "allowed", "meaning"), rows)


def states() -> str:
    """Where a request is in its life."""
    return markdown(("state", "meaning"), ((f"`{state}`", state.phrase) for state in State))


def errors() -> str:
    """What can go wrong."""
    ordered = sorted(CODES.items(), key=lambda item: item[1][0])
    rows = ((str(status), f"`{code}`", meaning) for code, (status, meaning) in ordered)
    return markdown(("status", "code", "when"), rows)


def settings() -> str:
    """What an operator may choose."""
    rows = (
        (
            f"`--{name.replace('_', '-')}`",
            f"`OPENKONTEXT_{name.upper()}`",
            f"`{as_text(field.default)}`" if as_text(field.default) else "",
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    )
    return markdown(("flag", "variable", "default", "meaning"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "parameters": parameters,
    "states": states,
    "errors": errors,
    "settings": settings,
}


def with_tables(text: str) -> str:
    """``text`` with each of its tables made anew."""
    return _TABLE.sub(lambda found: f"<!-- table: {found[1]} -->\n{TABLES[found[1]]()}\n<!-- end -->", text)


if __name__ == "__main__":
    for file in FILES:
        file.write_text(with_tables(file.read_text()))

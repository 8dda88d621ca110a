"""Standard output: tables for people, JSON for scripts."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import typer


def show_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their heads, each column as wide as it must be."""
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(map(str.ljust, line, widths)).rstrip())


def show_json(value: Any) -> None:
    """Print it as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))

"""Finding one row, for the reads that every poll makes.

What Core does for each execution takes several times what SQLite needs to answer. So these few statements are compiled
once, and run on the driver's own connection.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa


class Lookup:
    """A SELECT of at most one row on an engine; every value in it is a parameter."""

    def __init__(self, statement: sa.Select[*tuple[Any, ...]], engine: sa.Engine) -> None:
        compiled, dialect = statement.compile(engine), engine.dialect
        self._engine = engine
        self._sql = str(compiled)
        # Where the driver takes its parameters by place, their names in that order.
        self._order: list[str] | None = getattr(compiled, "positiontup", None)
        types = [column.type.dialect_impl(dialect) for column in statement.selected_columns]
        self._converters = [kind.result_processor(dialect, None) for kind in types]

    def first(self, parameters: Mapping[str, Any]) -> list[Any] | None:
        """The row, its values as the columns' types have them; None if there is none. Raises the driver's errors."""
        bound = [parameters[name] for name in self._order] if self._order else parameters
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(self._sql, bound)
            row = cursor.fetchone()
            cursor.close()
        finally:
            connection.close()
        if row is None:
            return None
        return [convert(value) if convert else value for convert, value in zip(self._converters, row, strict=True)]

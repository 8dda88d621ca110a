"""The measured times of edits, to be looked at."""

import sqlalchemy as sa

from .database import Database
from .records import Latency
from .schema import timings

# Operators try few checkpoints; clients choose among few sizes, but their pictures' shapes make many.
_MOST = 50

_MEASURED = sa.select(timings).order_by(timings.c.samples.desc(), *timings.primary_key).limit(_MOST)


class Latencies(Database):
    """What `Estimates` noted."""

    def latencies(self) -> list[Latency]:
        """Of each checkpoint and size what its edits take, the most measured first; of the first 50."""
        with self._read() as connection:
            return [Latency(**row) for row in connection.execute(_MEASURED).mappings()]

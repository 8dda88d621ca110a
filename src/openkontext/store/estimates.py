"""What is known of the time that edits take: measured on the workers, for whoever waits."""

import sqlalchemy as sa

from openkontext.contract import State

from .database import Database, Row
from .jobs import ACTIVE
from .records import Load, Timing
from .schema import jobs, timings, workers

# A worker says something every few seconds: one that was not heard of for this long is not counted on.
SEEN_SECONDS = 15.0

# Keeps: a moving average of all samples, in which the newest counts for a fifth.
_NOTE = sa.text("""
    INSERT INTO timings (checkpoint, width, height, step_seconds, other_seconds, samples)
    VALUES (:checkpoint, :width, :height, :step, :other, 1)
    ON CONFLICT (checkpoint, width, height) DO UPDATE SET
        step_seconds = 0.8 * timings.step_seconds + 0.2 * excluded.step_seconds,
        other_seconds = 0.8 * timings.other_seconds + 0.2 * excluded.other_seconds,
        samples = timings.samples + 1
""")
_AREA = timings.c.width * timings.c.height
_SAME = sa.and_(timings.c.width == sa.bindparam("width"), timings.c.height == sa.bindparam("height"))
_NEAREST = (
    sa.select(
        timings.c.step_seconds, timings.c.other_seconds, timings.c.samples, _SAME.label("same"), _AREA.label("area")
    )
    .where(timings.c.checkpoint == sa.bindparam("checkpoint"))
    .order_by(sa.case((_SAME, 0), else_=1), sa.func.abs(_AREA - sa.bindparam("area", type_=sa.BigInteger)), _AREA)
    .limit(1)
)

_READY = sa.select(sa.func.count()).where(
    workers.c.state.in_(["ready", "busy"]), sa.not_(workers.c.drain), workers.c.seen_at > sa.bindparam("since")
)
_LOAD = sa.select(
    sa.func.count().filter(jobs.c.state == State.QUEUED).label("queued"),
    sa.func.count().filter(jobs.c.state == State.PROCESSING).label("running"),
    sa.func.coalesce(sa.func.sum(jobs.c.steps - jobs.c.step), 0).label("steps_ahead"),
    _READY.scalar_subquery().label("workers"),
).where(ACTIVE)


class Estimates(Database):
    """Measured times, and the work that lies ahead."""

    def note_timing(
        self, checkpoint: str, width: int, height: int, *, step_seconds: float, other_seconds: float
    ) -> None:
        """An edit to ``width`` x ``height`` took this long for a step, and for everything that is not steps."""
        size = {"checkpoint": checkpoint, "width": width, "height": height}
        with self._transaction() as connection:
            connection.execute(_NOTE, size | {"step": step_seconds, "other": other_seconds})

    def timing(self, checkpoint: str, width: int, height: int) -> Timing | None:
        """What edits of this size take; if none was measured, the nearest one's by area, its steps scaled by area.

        None if the checkpoint was never measured.
        """
        size = {"checkpoint": checkpoint, "width": width, "height": height, "area": width * height}
        with self._read() as connection:
            row = connection.execute(_NEAREST, size).first()
        return _scaled(row, width * height) if row else None

    def load(self) -> Load:
        """What there is to do, and how many workers do it."""
        with self._read() as connection:
            return Load(*connection.execute(_LOAD, {"since": self.clock() - SEEN_SECONDS}).one())


def _scaled(row: Row, area: int) -> Timing:
    ratio = 1.0 if row.same else area / row.area
    return Timing(row.step_seconds * ratio, row.other_seconds, row.samples)

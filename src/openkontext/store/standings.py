"""Where every active job stands, for those who follow some of them: one statement, however many they are."""

from dataclasses import dataclass, field

import sqlalchemy as sa

from openkontext.contract import State

from .database import Database
from .jobs import ACTIVE
from .schema import jobs, previews

# By `jobs_active` alone, in the order of claims; a queue has a limit, and so has the number of rows.
_ACTIVE = (
    sa.select(
        jobs.c.id, (jobs.c.state == State.QUEUED).label("waits"), jobs.c.attempt, jobs.c.step, jobs.c.steps,
        sa.func.coalesce(previews.c.step, 0),
    )
    .select_from(
        jobs.outerjoin(previews, sa.and_(previews.c.job_id == jobs.c.id, previews.c.attempt == jobs.c.attempt))
    )
    .where(ACTIVE)
    .order_by(jobs.c.tag, jobs.c.created_at)
)  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """An active job's place and progress.

    ``position`` is its place in the queue, 1 for the next to be claimed, 0 once it is PROCESSING. ``preview_step`` is
    the step of the current attempt's newest preview, 0 without one. ``jobs_ahead`` and ``steps_ahead`` count what has
    to be done before a QUEUED one; they change with every step of another job, and so make no difference.
    """

    position: int
    attempt: int
    step: int
    steps: int
    preview_step: int
    jobs_ahead: int = field(compare=False)
    steps_ahead: int = field(compare=False)


def standings(database: Database) -> dict[str, Standing]:
    """The standing of every job that has not ended, by its id."""
    with database._read() as connection:
        rows = connection.execute(_ACTIVE).all()
    found, steps_ahead, place = {}, 0, 0
    # Twice in order of claims: those that run are ahead of all who wait.
    for id, waits, attempt, step, steps, preview_step in rows:
        if not waits:
            found[id] = Standing(0, attempt, step, steps, preview_step, 0, 0)
            steps_ahead += max(0, steps - step)
    running = len(found)
    for id, waits, attempt, step, steps, _ in rows:
        if waits:
            found[id] = Standing(place + 1, attempt, step, steps, 0, running + place, steps_ahead)
            place, steps_ahead = place + 1, steps_ahead + steps
    return found

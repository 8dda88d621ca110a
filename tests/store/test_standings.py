"""Where active jobs stand, told by one statement for all."""

from openkontext.store import Store
from openkontext.store.standings import Standing, standings


def test_standings_are_what_each_jobs_progress_says(store: Store, clock, account, submit):
    """Places in the order of claims, of every key, and the step of the newest preview; what has ended has none."""
    other = store.create_key(account.id, rpm=None)[0]
    jobs = []
    for options in ({}, {}, {"by": other}, {"by": other}, {}):
        jobs.append(submit(**options).job)
        clock.advance(1)
    running, ended = store.claim("a"), store.claim("b")
    store.beat(running, step=3, steps=35, preview="data:,")
    store.beat(running, step=4)
    store.fail(ended, code="inference_failed", error="x", metrics={})
    found = standings(store)
    told = {job.id: store.progress(job.id, account.id) for job in jobs if job.id != ended.job_id}
    assert {id: (each.position or 0, each.preview_step or 0, each.job.step) for id, each in told.items()} == {
        id: (each.position, each.preview_step, each.step) for id, each in found.items()
    }
    assert sorted(each.position for each in found.values()) == [0, 1, 2, 3]
    assert found[running.job_id] == Standing(0, 1, 4, 35, 3, 0, 0)


def test_what_is_ahead(store: Store, submit):
    """Of running jobs the steps that are left, of waiting ones all; it makes no news of its own."""
    first, second, third = (submit(steps=steps).job.id for steps in (10, 20, 30))
    claim = store.claim("a")
    before = standings(store)
    store.beat(claim, step=4)
    after = standings(store)
    assert [(after[id].jobs_ahead, after[id].steps_ahead) for id in (first, second, third)] == [(0, 0), (1, 6), (2, 26)]
    assert [before[id] == after[id] for id in (first, second, third)] == [False, True, True]


def test_a_lost_attempts_preview_is_not_of_the_next(store: Store, submit):
    """Though it is kept until there is another."""
    submit()
    lost = store.claim("a")
    store.beat(lost, step=3, preview="data:,")
    store.release(lost)
    again = store.claim("b")
    assert [standing.preview_step for standing in standings(store).values()] == [0]
    store.beat(again, step=1, preview="data:,")
    assert [standing.preview_step for standing in standings(store).values()] == [1]

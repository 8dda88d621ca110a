"""What whoever waits is told: place, step, preview; and what estimates are made of."""

from collections.abc import Callable

import pytest

from openkontext.store import Account, Claim, Load, Progress, Store, Submitted, Timing

PREVIEW = "data:image/jpeg;base64,AAAA"


@pytest.fixture
def claim(store: Store, submit: Callable[..., Submitted]) -> Claim:
    """A worker's hold on a new job."""
    submit()
    claim = store.claim("w")
    assert claim is not None
    return claim


def test_position_is_the_order_of_claims(store: Store, account: Account, submit: Callable[..., Submitted]):
    """1 is next; a busy key's jobs stand behind those of a key that comes later."""
    late = store.create_key(account.id, rpm=None)[0]
    ids = [submit().job.id for _ in range(3)]
    ids.append(submit(by=late, weight=2.0).job.id)
    ids.append(submit(by=late).job.id)

    def positions() -> dict[str, int | None]:
        return {id: store.progress(id, account.id).position for id in ids}

    while waiting := {id: place for id, place in positions().items() if place is not None}:
        claim = store.claim("w")
        assert waiting[claim.job_id] == 1
    assert set(positions().values()) == {None}


def test_positions_count_up(store: Store, account: Account, submit: Callable[..., Submitted]):
    """One after the other within a key; running and ended jobs are not before anybody."""
    ids = [submit().job.id for _ in range(4)]
    store.claim("w")
    store.cancel(ids[2], account.id)
    assert [store.progress(id, account.id).position for id in ids] == [None, 1, None, 2]


def test_progress_is_the_job_with_its_preview(store: Store, account: Account, claim: Claim):
    """The newest preview, and the step that it was made at."""
    assert store.progress(claim.job_id, account.id) == Progress(store.job(claim.job_id, account.id), None, None, None)
    store.beat(claim, step=3, steps=28, preview=PREVIEW)
    progress = store.progress(claim.job_id, account.id)
    assert progress == Progress(store.job(claim.job_id, account.id), None, 3, PREVIEW)
    store.beat(claim, step=4)
    store.beat(claim, preview=PREVIEW + "BBBB")
    progress = store.progress(claim.job_id, account.id)
    assert (progress.job.step, progress.preview_step, progress.preview) == (4, 4, PREVIEW + "BBBB")


def test_preview_of_a_lost_attempt_is_not_shown(store: Store, account: Account, claim: Claim, clock):
    """Another worker begins anew: what the first had drawn would be a lie."""
    store.beat(claim, step=3, preview=PREVIEW)
    clock.advance(15)
    successor = store.claim("successor")
    progress = store.progress(claim.job_id, account.id)
    assert (progress.job.step, progress.preview_step, progress.preview) == (0, None, None)
    store.beat(successor, step=1, preview=PREVIEW)
    assert store.progress(claim.job_id, account.id).preview_step == 1


def test_zombie_shows_nothing(store: Store, claim: Claim, clock, tables):
    """A preview is fenced like every other write."""
    clock.advance(15)
    store.claim("successor")
    with pytest.raises(Exception, match="no longer holds"):
        store.beat(claim, step=3, preview=PREVIEW)
    assert tables("previews") == []


@pytest.mark.parametrize("ends", ["finish", "fail"])
def test_end_deletes_the_preview(store: Store, account: Account, claim: Claim, tables, ends: str):
    """There is nothing to preview any more."""
    store.beat(claim, step=3, preview=PREVIEW)
    if ends == "finish":
        store.finish(claim, {"metrics": {}})
    else:
        store.fail(claim, code="inference_failed", error="no", metrics={})
    assert tables("previews") == []
    assert store.progress(claim.job_id, account.id).preview is None


def test_progress_of_what_is_not_ones_own(store: Store, account: Account, claim: Claim, clock):
    """Unknown, another's and expired jobs have none."""
    stranger = store.create_account("stranger")
    store.finish(claim, {"metrics": {}})
    assert store.progress("unknown", account.id) is None
    assert store.progress(claim.job_id, stranger.id) is None
    clock.advance(3600)
    assert store.progress(claim.job_id, account.id) is None


def test_first_timing_counts_whole_and_later_ones_a_fifth(store: Store):
    """A moving average, by checkpoint and size."""
    store.note_timing("nano", 256, 128, step_seconds=1.0, other_seconds=2.0)
    assert store.timing("nano", 256, 128) == Timing(1.0, 2.0, 1)
    store.note_timing("nano", 256, 128, step_seconds=2.0, other_seconds=1.0)
    assert store.timing("nano", 256, 128) == Timing(pytest.approx(1.2), pytest.approx(1.8), 2)


def test_unmeasured_size_is_scaled_from_the_nearest(store: Store):
    """Steps take as long as they have pixels; the size of nearest area tells, whatever its shape."""
    store.note_timing("nano", 100, 100, step_seconds=1.0, other_seconds=5.0)
    store.note_timing("nano", 400, 100, step_seconds=8.0, other_seconds=6.0)
    assert store.timing("nano", 150, 100) == Timing(1.5, 5.0, 1)
    assert store.timing("nano", 300, 100) == Timing(6.0, 6.0, 1)
    assert store.timing("nano", 200, 200) == Timing(8.0, 6.0, 1)
    assert store.timing("other", 100, 100) is None


def test_measured_size_comes_before_one_of_the_same_area(store: Store):
    """What was measured for this shape is better than what was for another."""
    store.note_timing("nano", 200, 50, step_seconds=9.0, other_seconds=1.0)
    store.note_timing("nano", 50, 200, step_seconds=7.0, other_seconds=1.0)
    assert [store.timing("nano", *size).step_seconds for size in ((200, 50), (50, 200))] == [9.0, 7.0]


def test_load_counts_what_is_ahead(store: Store, submit: Callable[..., Submitted], clock):
    """Jobs, the steps that are left of them, and the workers that were heard of lately."""
    assert store.load() == Load(0, 0, 0, 0)
    for steps in (10, 20, 30):
        submit(steps=steps)
    store.beat(store.claim("w"), step=4)
    for name, state in (("a", "ready"), ("b", "busy"), ("c", "loading"), ("d", "crashed"), ("e", "draining")):
        store.report_worker(name, state=state)
    assert store.load() == Load(queued=2, running=1, steps_ahead=56, workers=2)
    clock.advance(10)
    store.report_worker("b", state="busy")
    clock.advance(5)
    assert store.load().workers == 1


def test_ended_jobs_are_no_load(store: Store, claim: Claim):
    """What has ended is not ahead of anybody."""
    store.finish(claim, {"metrics": {}})
    assert store.load() == Load(0, 0, 0, 0)

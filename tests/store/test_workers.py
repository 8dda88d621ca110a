"""The register of workers."""

from openkontext.store import Store, WorkerRow


def test_report_is_what_is_shown(store: Store, clock):
    """A worker is as it last said it was; what it is stays, what it does is as of now."""
    store.report_worker("w0", state="loading", device="cpu", checkpoint="nano", pid=7, host="here", message="loading")
    started = clock.now
    clock.advance(5)
    store.report_worker("w0", state="draining", job_id="job")
    expected = WorkerRow("w0", "here", 7, "cpu", "nano", "draining", None, "job", clock.now, started)
    assert store.workers() == [expected]


def test_new_process_is_a_new_start(store: Store, clock):
    """A worker that was restarted under its name counts from then."""
    store.report_worker("w0", state="ready", pid=7)
    clock.advance(5)
    store.report_worker("w0", state="crashed", message="killed by signal 9")
    assert store.workers()[0].started_at == clock.now - 5
    store.report_worker("w0", state="loading", pid=8)
    assert store.workers()[0].started_at == clock.now


def test_forgotten_worker_is_gone(store: Store):
    """Workers are listed by name until they are forgotten."""
    for name in ("b", "a", "c"):
        store.report_worker(name, state="ready")
    store.forget_worker("b")
    assert [worker.id for worker in store.workers()] == ["a", "c"]


def test_worker_is_busy_while_it_has_a_job(store: Store, submit):
    """From its claim to the end, which it tells of a little later."""
    store.report_worker("a", state="ready")
    submit()
    claim = store.claim("a")
    assert ["busy"] == [row.state for row in store.workers()]
    store.report_worker("a", state="busy", job_id=claim.job_id)
    store.finish(claim, {"metrics": {}})
    assert ["ready"] == [row.state for row in store.workers()]


def test_drained_worker_gets_no_jobs(store: Store, submit):
    """It, and no other; until it resumes."""
    for name in ("a", "b"):
        store.report_worker(name, state="ready")
    submit()
    assert [("a", "drained", True)] == [(row.id, row.state, row.drain) for row in store.drain("a")]
    assert store.claim("a") is None
    assert store.claim("b") is not None
    submit()
    assert [("a", "ready", False)] == [(row.id, row.state, row.drain) for row in store.drain("a", wanted=False)]
    assert store.claim("a") is not None


def test_worker_is_draining_while_it_has_a_job(store: Store, submit, clock):
    """Whatever it said of itself last: what is drained can be switched off."""
    store.report_worker("a", state="ready")
    submit()
    claim = store.claim("a")
    assert ["draining"] == [row.state for row in store.drain("a")]
    store.report_worker("a", state="busy", job_id=claim.job_id)
    assert ["draining"] == [row.state for row in store.workers()]
    store.finish(claim, {"metrics": {}})
    assert ["drained"] == [row.state for row in store.workers()]
    store.report_worker("a", state="ready")
    assert ["drained"] == [row.state for row in store.workers()]


def test_what_takes_no_jobs_is_what_it_says(store: Store):
    """Loading, ending or crashed: a worker that is to be drained is so once it would take some."""
    for state in ("loading", "draining", "crashed"):
        store.report_worker("a", state=state)
        assert [(state, True)] == [(row.state, row.drain) for row in store.drain("a")]
    store.report_worker("a", state="ready")
    assert ["drained"] == [row.state for row in store.workers()]


def test_all_workers_are_drained(store: Store):
    """Those that there are: one that comes later isn't, nor one that was started anew."""
    for name in ("a", "b"):
        store.report_worker(name, state="ready")
    assert ["drained", "drained"] == [row.state for row in store.drain()]
    store.report_worker("c", state="ready")
    store.forget_worker("a")
    store.report_worker("a", state="ready")
    assert ["ready", "drained", "ready"] == [row.state for row in store.workers()]
    assert ["ready"] * 3 == [row.state for row in store.drain(wanted=False)]


def test_unknown_worker_is_not_drained(store: Store):
    """Nor is any other in its place."""
    store.report_worker("a", state="ready")
    assert [] == store.drain("b")
    assert ["ready"] == [row.state for row in store.workers()]


def test_drained_workers_are_no_help(store: Store):
    """Estimates count on those that take jobs."""
    for name in ("a", "b"):
        store.report_worker(name, state="ready")
    store.drain("a")
    assert 1 == store.load().workers

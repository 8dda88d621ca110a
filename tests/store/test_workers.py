"""The register of workers."""

from openkontext.store import Store, WorkerRow


def test_report_is_what_is_shown(store: Store, clock):
    """A worker is as it last said it was; what it is stays, what it does is as of now."""
    store.report_worker("w0", state="loading", device="cpu", checkpoint="nano", pid=7, host="here", message="loading")
    started = clock.now
    clock.advance(5)
    store.report_worker("w0", state="busy", job_id="job")
    expected = WorkerRow("w0", "here", 7, "cpu", "nano", "busy", None, "job", clock.now, started)
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

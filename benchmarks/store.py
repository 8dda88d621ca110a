"""How fast the embedded queue is: ``python benchmarks/store.py [--folder FOLDER] [--jobs N]``.

Every figure is of one store on one SQLite file as the service uses it, each commit synced to the disk of FOLDER.
A busy machine or a slow disk shows in all of them, so the machine's load and its bare sync are printed beside.
"""

import argparse
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy

from openkontext.store import Account, Claim, Key, Store, StoreSettings

SETTINGS = StoreSettings(queue_limit=1_000_000)


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        return work(Path(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the database is made (default: a temporary folder)")
    parser.add_argument("--jobs", type=int, default=400, help="jobs for each figure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        describe(Path(folder))
        measure(Path(folder) / "queue.db", arguments.jobs)


def describe(folder: Path) -> None:
    versions = (
        f"Python {platform.python_version()}, SQLAlchemy {sqlalchemy.__version__}, SQLite {sqlite3.sqlite_version}"
    )
    print(f"{os.cpu_count()} cores {platform.machine()}, load {os.getloadavg()[0]:.1f}; {versions}")
    print(f"bare write and sync of 16 KiB in {folder}: {1000 * per_call(sync(folder / 'sync'), 100):.2f} ms")


def sync(path: Path) -> Callable[[], None]:
    file = os.open(path, os.O_CREAT | os.O_WRONLY)

    def write() -> None:
        os.write(file, bytes(16_384))
        os.fsync(file)

    return write


def measure(path: Path, jobs: int) -> None:
    store = Store.open(path, settings=SETTINGS)
    store.migrate()
    account = store.create_account("benchmark")
    store.add_credits(account.id, 10**12)
    key, secret = store.create_key(account.id, rpm=None)
    for threads in (1, 8):
        print(f"submit, {threads} threads: {submit_rate(store, key, jobs, threads):.0f} a second")
    measure_life(store, jobs)
    measure_latency(store, key, path, jobs // 2)
    measure_reads(store, account, key, secret)
    store.close()


def submit(store: Store, key: Key) -> str:
    parameters = {"prompt": "make it snow", "aspect_ratio": "match_input_image", "num_inference_steps": 35, "seed": 42}
    source = {"kind": "url", "url": "https://example.com/a.png"}
    return store.submit(key, parameters, source, price=40_000, weight=3.0, steps=35).job.id


def submit_rate(store: Store, key: Key, jobs: int, threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        list(pool.map(lambda _: submit(store, key), range(jobs)))
        return jobs / (time.perf_counter() - started)


def measure_life(store: Store, jobs: int) -> None:
    """Claim, beat and finish everything that the submits left."""
    claims: list[Claim] = []
    claim_time = per_call(lambda: claims.append(next(filter(None, [store.claim("w")]))), jobs)
    beat_time = per_call(lambda: store.beat(claims[0], step=1), 100)
    finishing = iter(claims)
    finish_time = per_call(lambda: store.finish(next(finishing), {"metrics": {"inference_time": 3.1}}), jobs)
    while claim := store.claim("w"):
        store.release(claim) if claim.attempt > 1 else store.finish(claim, {"metrics": {}})
    for name, seconds in (("claim", claim_time), ("beat", beat_time), ("finish", finish_time)):
        print(f"{name}: {1000 * seconds:.2f} ms")


def measure_latency(store: Store, key: Key, path: Path, jobs: int) -> None:
    """From the call of submit until a waiting worker process has the job, one job at a time."""
    worker = subprocess.Popen([sys.executable, __file__, "--worker", str(path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    worker.stdout.readline()
    latencies = []
    for _ in range(jobs):
        started = time.time()
        submit(store, key)
        latencies.append(1000 * (float(worker.stdout.readline()) - started))
        time.sleep(0.005)  # not in step with the worker's polling
    worker.terminate()
    worker.communicate()
    p50, p95 = (statistics.quantiles(latencies, n=20)[i] for i in (9, 18))
    print(f"submit to claimed by a waiting process: p50 {p50:.1f} ms, p95 {p95:.1f} ms")


def work(path: Path) -> None:
    """A worker that takes no time over its jobs; prints when it had each."""
    store = Store.open(path, settings=SETTINGS)
    print("ready", flush=True)
    while True:
        seen = store.version()
        if claim := store.claim("waiting"):
            claimed = time.time()
            store.finish(claim, {"metrics": {}})
            print(claimed, flush=True)
        else:
            store.wait(seen, 1)


def measure_reads(store: Store, account: Account, key: Key, secret: str) -> None:
    job_id = submit(store, key)
    reads: dict[str, Callable[[], object]] = {
        "job": lambda: store.job(job_id, account.id),
        "authenticate": lambda: store.authenticate(secret),
        "version": store.version,
    }
    for name, read in reads.items():
        before = time.process_time()
        seconds = per_call(read, 5000)
        processor = (time.process_time() - before) / 5000
        print(
            f"{name}: {1 / seconds:.0f} a second, {1e6 * seconds:.0f} µs each, of which processor {1e6 * processor:.0f}"
        )


def per_call(call: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times


if __name__ == "__main__":
    main()

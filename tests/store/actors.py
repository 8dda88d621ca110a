"""What other processes do to a store in the tests: ``actors.py ACTION DATABASE [ARGUMENT …]``."""

import contextlib
import os
import resource
import signal
import sys
from typing import Any

from openkontext.store import Idempotency, InsufficientCredits, Key, Store, StoreUnavailable


def main() -> None:
    action, path, *arguments = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    ACTIONS[action](path, *arguments)


def claim_some(path: str, worker: str, count: str) -> None:
    """Claim and finish so many jobs, or until there are none; prints each."""
    store = Store.open(path)
    for claim in filter(None, (store.claim(worker) for _ in range(int(count)))):
        print(claim.job_id, flush=True)
        store.finish(claim, {"metrics": {}})


def submit_and_die(path: str, secret: str) -> None:
    """Submit, say so, and be gone without a goodbye."""
    store = Store.open(path)
    print(submit(store, known(store, secret)), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def submit_once(path: str, secret: str, count: str) -> None:
    """Submit under so many idempotency keys, which others use too; prints the job of each."""
    store = Store.open(path)
    key = known(store, secret)
    for number in range(int(count)):
        print(submit(store, key, idempotency=Idempotency(f"order-{number}", "a" * 64)), flush=True)


def spend(path: str, secret: str, count: str) -> None:
    """Try to submit so often; prints the jobs that were accepted."""
    store = Store.open(path)
    key = known(store, secret)
    for _ in range(int(count)):
        with contextlib.suppress(InsufficientCredits):
            print(submit(store, key), flush=True)


def migrate(path: str) -> None:
    """Bring the schema up to date; prints the workers that it then has."""
    store = Store.open(path)
    store.migrate()
    print(store.workers(), flush=True)


def fill_the_disk(path: str, secret: str) -> None:
    """Submit until files may grow no more, then once more when they may; prints the ids, and the refusal."""
    store = Store.open(path)
    key = known(store, secret)
    room = os.path.getsize(path) + 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        while True:
            print(submit(store, key), flush=True)
    except StoreUnavailable as error:
        print(f"unavailable {error.reason}", flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(submit(store, key), flush=True)


def known(store: Store, secret: str) -> Key:
    key = store.authenticate(secret)
    assert key is not None
    return key


def submit(store: Store, key: Key, **options: Any) -> str:
    url = {"kind": "url", "url": "https://example.com/a.png"}
    return store.submit(key, {"prompt": "x"}, url, price=1, weight=1, steps=4, **options).job.id


ACTIONS = {
    "claim_some": claim_some,
    "submit_and_die": submit_and_die,
    "submit_once": submit_once,
    "spend": spend,
    "migrate": migrate,
    "fill_the_disk": fill_the_disk,
}

if __name__ == "__main__":
    main()

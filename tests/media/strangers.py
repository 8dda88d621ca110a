"""The two who ask where a client says, fetch and post, and an internet on the loopback for them to ask."""

import time
from collections.abc import Callable
from typing import Any

from openkontext.contract import Problem
from openkontext.media.fetch import FetchPolicy, fetch
from openkontext.media.outward import Policy, Resolver, Unreachable, resolve
from openkontext.media.post import post

# The address on this machine that stands for all public ones.
PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"
TIMES = {"timeout_seconds": 1.0, "connect_seconds": 0.3, "read_seconds": 0.15}
Ask = Callable[..., str]


def ask_input(url: str, *, resolver: Resolver = resolve, hosts: frozenset[str] = frozenset(), **limits: Any) -> str:
    """What becomes of an input image's URL: the sentence of the refusal, or how many bytes came."""
    policy = FetchPolicy(allowed_hosts=hosts, **({"max_bytes": 100_000} | TIMES | limits))
    try:
        return f"{len(fetch(url, policy, resolver=resolver))} bytes"
    except Problem as problem:
        if ("fetch_failed", 400) != (problem.code, problem.status):
            raise
        return problem.message.removeprefix("the image's URL ")


def ask_webhook(url: str, *, resolver: Resolver = resolve, hosts: frozenset[str] = frozenset(), **limits: Any) -> str:
    """What becomes of a webhook: the sentence of the refusal, or the status of the answer."""
    policy = Policy(allowed_hosts=hosts, **(TIMES | {name: limits[name] for name in limits if name != "max_bytes"}))
    try:
        return f"status {post(url, b'{}', {'content-type': 'application/json'}, policy, resolver=resolver).status}"
    except Unreachable as error:
        return str(error)


def in_time(ask: Ask, url: str, **options: Any) -> str:
    """What ``ask`` says, which it does soon after the whole time it was given."""
    started = time.monotonic()
    said = ask(url, **options)
    assert time.monotonic() - started < TIMES["timeout_seconds"] + 1
    return said


def names(**known: list[str]) -> Resolver:
    """A name server that knows ``<name>.example``, and leaves addresses to the system."""

    def look_up(host: str, port: int) -> list[str]:
        return known[host.removesuffix(".example")] if host.endswith(".example") else resolve(host, port)

    return look_up

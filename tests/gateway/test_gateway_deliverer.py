"""Posting events to real receivers: signed, retried, shared out, and never in anybody's way."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from openkontext.contract import State, wire
from openkontext.gateway import Services
from openkontext.gateway.deliverer import BACKOFF, LEASE_MARGIN, Deliverer
from openkontext.media import outward
from openkontext.media.addresses import is_public
from openkontext.store import Account, Endpoint, Key
from openkontext.store.outbox import LoggedDelivery
from tests.gateway.harness import Clock, Worker
from tests.media.servers import response, serving
from tests.receivers import Received, receiving
from tests.service import eventually

EDIT = {"prompt": "make it snow", "output_format": "png", "seed": 7}
URL = {"kind": "url", "url": "https://example.com/a.png"}
BASE = "https://api.example"
BOTH = ("request.completed", "request.failed")
LEASE = 10 + LEASE_MARGIN


@dataclass
class Desk:
    """A gateway's parts without a gateway, and the deliverers that the test started."""

    services: Services
    account: Account
    key: Key
    deliverers: list[Deliverer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.worker = Worker(self.services)
        self.store = self.services.store

    @property
    def clock(self) -> Clock:
        assert isinstance(self.store.clock, Clock)
        return self.store.clock

    def deliver(self, services: Services | None = None) -> Deliverer:
        """Start a deliverer that draws the longest of all pauses."""
        self.deliverers.append(Deliverer(services or self.services, jitter=lambda: 1.0))
        self.deliverers[-1].start()
        return self.deliverers[-1]

    def submit(self, **options: Any) -> str:
        parts = {"price": 0, "weight": 1.0, "steps": 4, "base_url": BASE} | options
        return self.store.submit(self.key, EDIT, URL, **parts).job.id

    def complete(self, **options: Any) -> str:
        """Have a request submitted and completed; its id."""
        job_id = self.submit(**options)
        self.worker.complete()
        return job_id

    def subscribe(self, url: str) -> Endpoint:
        return self.store.create_endpoint(self.account.id, url, BOTH)

    def advance(self, seconds: float) -> None:
        """Move the clock, and have it noticed at once: any write does that."""
        self.clock.advance(seconds)
        self.store.report_worker("someone", state="ready")

    def logged(self) -> LoggedDelivery:
        """The newest delivery."""
        return self.store.deliveries(self.account.id)[0][0]

    def outcome(self) -> LoggedDelivery:
        """The newest delivery, once nobody tries it any more."""

        def settled() -> LoggedDelivery | None:
            now = self.logged()
            waits = now.due_at is None or self.clock.now < now.due_at != (now.last_at or 0) + LEASE
            return now if now.attempts and waits else None

        delivery: LoggedDelivery = eventually(settled, within=20, every=0.005)
        return delivery


@pytest.fixture
def open_desk(open_services: Callable[..., Services]) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def open_desk(**settings: Any) -> Desk:
        services = open_services(**({"webhook_allow_hosts": "127.0.0.1"} | settings))
        services.store.clock = clock = Clock()
        # Receivers refuse what was signed at another time than theirs.
        clock.now = time.time()
        account = services.store.create_account("someone")
        desks.append(Desk(services, account, services.store.create_key(account.id, rpm=None)[0]))
        return desks[-1]

    yield open_desk
    for desk in desks:
        for deliverer in desk.deliverers:
            deliverer.stop()
        desk.store.close()
    assert [] == [each.name for each in threading.enumerate() if each.name.startswith("deliverer")]


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk()


@pytest.fixture
def refusing() -> Iterator[str]:
    """An address that refuses connections: its port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"


def test_completed_request_is_posted(desk: Desk):
    """The result body with an absolute address, signed with the endpoint's secret."""
    with receiving() as receiver:
        endpoint = desk.subscribe(receiver.url)
        job_id = desk.complete()
        desk.deliver()
        delivery = desk.outcome()
    assert ("delivered", 204, None, None) == (
        delivery.state, delivery.last_status, delivery.last_error, delivery.due_at,
    )  # fmt: skip
    (got,) = receiver.received
    body = Webhook(endpoint.secret).verify(got.body, got.headers)
    result, job = desk.store.result(job_id), desk.store.job(job_id, desk.account.id)
    assert result is not None
    assert job is not None
    address = desk.services.signer.sign(result["output"]["key"], int(job.expires_at or 0))
    assert wire.completed(job_id, BASE + address, result) == body
    assert (f"msg_{job_id}", "application/json") == (got.headers["webhook-id"], got.headers["content-type"])
    assert got.headers["user-agent"].startswith("openkontext/")


def test_failed_request_is_posted(desk: Desk):
    """To the URL that the request named, signed with the account's secret; what was blocked says by which score."""
    verdict = {"stage": "input", "category": "nsfw", "score": 0.97, "threshold": 0.8}
    with receiving() as receiver:
        job_id = desk.submit(webhook=receiver.url)
        desk.worker.fail("blocked", "the picture was blocked", moderation=verdict)
        desk.deliver()
        eventually(lambda: receiver.received)
    (got,) = receiver.received
    body = Webhook(desk.store.webhook_secret(desk.account.id)).verify(got.body, got.headers)
    assert (job_id, State.FAILED, "blocked") == (body["request_id"], body["status"], body["code"])
    assert verdict == body["moderation"]


def test_retry_is_the_same_message(desk: Desk):
    """Id and bytes stay; the time, and so the signature, is the attempt's."""
    answers = iter([500, 500, 200])
    with receiving(lambda _: (next(answers), {})) as receiver:
        endpoint = desk.subscribe(receiver.url)
        desk.complete()
        desk.deliver()
        for pause in (5, 300):
            assert "was answered with status 500" == desk.outcome().last_error
            desk.advance(pause)
        eventually(lambda: desk.logged().state == "delivered")
    assert 3 == len(receiver.received)
    assert 1 == len({(got.headers["webhook-id"], got.body) for got in receiver.received})
    times = [int(got.headers["webhook-timestamp"]) for got in receiver.received]
    assert [0, 5, 305] == [at - times[0] for at in times]
    # Not by `verify`, which compares with today's time: the test's is ahead.
    signatures = [signature(endpoint.secret, got) for got in receiver.received]
    assert signatures == [got.headers["webhook-signature"] for got in receiver.received]


def signature(secret: str, got: Received) -> str:
    """What Standard Webhooks would have signed the message with at the time of its sending."""
    sent = datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC)
    return Webhook(secret).sign(got.headers["webhook-id"], sent, got.body)


def test_dead_receiver_is_given_up_after_a_day(desk: Desk, refusing: str):
    """The pauses grow; the last attempt is a day after the first, and then it has failed."""
    desk.complete(webhook=refusing)
    began = desk.clock.now
    desk.deliver()
    tried = []
    while (delivery := desk.outcome()).due_at is not None:
        tried.append(delivery.due_at - began)
        desk.advance(delivery.due_at - desk.clock.now)
    growing = [sum(BACKOFF[: number + 1]) for number in range(len(BACKOFF))]
    assert [*growing, 86400] == [round(at) for at in tried]
    assert ("failed", 8) == (delivery.state, delivery.attempts)
    assert "the webhook's URL has a host that refuses connections" == delivery.last_error


@pytest.mark.parametrize(
    ("status", "asked", "pause"), [(503, "120", 120), (429, "2", 5), (503, "99999", 3600), (500, "120", 5)]
)
def test_retry_after(desk: Desk, status: int, asked: str, pause: int):
    """A busy receiver is left alone for as long as it asks, up to an hour; it can't be asked to be pestered."""
    with receiving(lambda _: (status, {"retry-after": asked})) as receiver:
        desk.complete(webhook=receiver.url)
        desk.deliver()
        delivery = desk.outcome()
    assert delivery.due_at is not None
    assert pause == round(delivery.due_at - desk.clock.now)


def test_slow_receiver_holds_nobody_up(desk: Desk):
    """More wait for it than may be under way, all of them before; others get theirs meanwhile."""
    with receiving(slow=True) as slow, receiving() as quick:
        for _ in range(6):
            desk.complete(webhook=slow.url)
        desk.complete(webhook=quick.url)
        desk.deliver()
        eventually(lambda: quick.received and len(slow.received) == 4)
        desk.complete(webhook=quick.url)
        eventually(lambda: len(quick.received) == 2)
        assert 4 == len(slow.received)
        slow.released.set()
        eventually(lambda: len(slow.received) == 6)


def test_redirect_is_not_followed(desk: Desk):
    """Wherever it leads, and though both are allowed: the log says what to do."""
    with receiving() as inside, receiving(lambda _: (307, {"location": inside.url})) as receiver:
        desk.complete(webhook=receiver.url)
        desk.deliver()
        delivery = desk.outcome()
    assert ([], 307, "pending") == (inside.received, delivery.last_status, delivery.state)
    assert "redirect, which is not followed" in (delivery.last_error or "")


def test_private_address_is_refused(desk: Desk):
    """The name is allowed by nobody, and what it leads to is looked at when it is posted."""
    with receiving() as receiver:
        desk.complete(webhook=receiver.url.replace("127.0.0.1", "localhost"))
        desk.deliver()
        delivery = desk.outcome()
    assert ([], None, "pending") == (receiver.received, delivery.last_status, delivery.state)
    assert "the webhook's URL has a host without a public address: localhost" == delivery.last_error


def test_address_is_checked_at_every_attempt(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """A name that is public when the event is first posted, and this machine's when it is posted again."""
    monkeypatch.setattr(outward, "is_public", lambda address: address == "127.0.0.2" or is_public(address))
    monkeypatch.setattr(outward, "is_ours", lambda address: False)
    look_up, answers = socket.getaddrinfo, iter(["127.0.0.2", "127.0.0.1"])

    def rebind(host: str, *given: Any, **options: Any) -> Any:
        return look_up(next(answers) if host == "rebind.example" else host, *given, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    refused = response(b"a secret of the receiver's", "500 \x1b[31mOops")
    with serving(refused, host="127.0.0.2") as public, serving(refused, port=public.port) as private:
        desk.complete(webhook=f"http://rebind.example:{public.port}/")
        desk.deliver()
        # Nothing that a receiver says but its status is kept.
        assert "was answered with status 500" == desk.outcome().last_error
        desk.advance(5)
        eventually(lambda: desk.outcome().attempts == 2)
    assert "the webhook's URL has a host without a public address: rebind.example" == desk.outcome().last_error
    assert (1, []) == (len(public.requests), private.requests)


def test_gone_receiver_is_removed(desk: Desk, refusing: str):
    """410 ends the delivery, and everything else for that endpoint; other receivers stay."""
    with receiving(lambda _: (410, {})) as receiver:
        endpoint = desk.subscribe(receiver.url)
        kept = desk.subscribe(refusing)
        desk.complete()
        desk.deliver()
        eventually(lambda: [kept] == desk.store.endpoints(desk.account.id))
    (delivery,), _ = desk.store.deliveries(desk.account.id, endpoint_id=endpoint.id)
    assert ("failed", 410) == (delivery.state, delivery.last_status)


def test_gone_address_of_a_request(desk: Desk):
    """410 is the end of that delivery alone."""
    with receiving(lambda _: (410, {})) as receiver:
        desk.complete(webhook=receiver.url)
        desk.deliver()
        assert ("failed", 1) == (desk.outcome().state, desk.logged().attempts)


def test_crash_between_post_and_confirmation(desk: Desk):
    """A gateway that took a delivery and is heard of no more: another posts it, when the lease is over."""
    with receiving() as receiver:
        desk.complete(webhook=receiver.url)
        (lost,) = desk.store.due_deliveries(1, LEASE)
        desk.clock.advance(1)
        desk.complete(webhook=receiver.url)
        desk.deliver()
        assert "delivered" == desk.outcome().state
        assert 1 == len(receiver.received)
        desk.advance(LEASE)
        eventually(lambda: len(receiver.received) == 2)
    assert f"msg_{lost.event.job_id}" == receiver.received[1].headers["webhook-id"]
    delivery = desk.store.delivery(desk.account.id, lost.delivery.id)
    assert delivery is not None
    assert 2 == delivery.attempts


def test_two_gateways_post_each_once(desk: Desk):
    """They take turns with what is due; the receiver gets each message once."""
    services = Services.open(desk.services.settings)
    services.store.clock = desk.clock
    try:
        with receiving() as receiver:
            jobs = {desk.complete(webhook=receiver.url) for _ in range(12)}
            desk.deliver()
            second = desk.deliver(services)
            eventually(lambda: len(receiver.received) >= 12)
            for deliverer in (desk.deliverers[0], second):
                deliverer.stop()
        assert dict.fromkeys((f"msg_{each}" for each in jobs), 1) == Counter(
            got.headers["webhook-id"] for got in receiver.received
        )
    finally:
        services.store.close()


def test_erased_request_is_not_posted(desk: Desk):
    """What its owner erased after an attempt is not tried again."""
    with receiving(lambda _: (500, {})) as receiver:
        job_id = desk.complete(webhook=receiver.url)
        desk.deliver()
        desk.outcome()
        desk.store.erase(job_id, desk.account.id)
        desk.advance(1e5)
        assert ("failed", "the request was erased before it could be delivered") == (
            desk.logged().state,
            desk.logged().last_error,
        )
        desk.complete(webhook=receiver.url)
        assert 500 == desk.outcome().last_status
    assert 2 == len(receiver.received)


def test_redelivery(desk: Desk):
    """The same message once more, to a receiver that took it before."""
    with receiving() as receiver:
        desk.complete(webhook=receiver.url)
        desk.deliver()
        first = desk.outcome()
        desk.clock.advance(1)
        desk.store.redeliver(desk.account.id, first.id)
        eventually(lambda: len(receiver.received) == 2)
        eventually(lambda: desk.logged().state == "delivered")
    assert 1 == len({(got.headers["webhook-id"], got.body) for got in receiver.received})


def test_stopping(open_desk: Callable[..., Desk]):
    """It ends within the time that a receiver gets, and what that didn't answer is tried again later."""
    desk = open_desk(webhook_timeout=0.1)
    with receiving(slow=True) as receiver:
        desk.complete(webhook=receiver.url)
        deliverer = desk.deliver()
        eventually(lambda: receiver.received)
        deliverer.stop()
        delivery = desk.logged()
    assert ("pending", "the webhook's URL did not answer within 0.1 seconds") == (delivery.state, delivery.last_error)
    assert [] == [each.name for each in threading.enumerate() if each.name.startswith("deliverer")]


def test_defect_is_an_attempt(desk: Desk, logs: list[Any]):
    """What can't even be written down is logged, and waits like any failure instead of coming round for ever."""
    with receiving() as receiver:
        desk.submit(webhook=receiver.url)
        desk.store.finish(desk.worker.take(), {"metrics": {"inference_time": 1.0}})
        desk.deliver()
        delivery = desk.outcome()
    assert ("pending", "the server made a mistake; it has been logged", []) == (
        delivery.state, delivery.last_error, receiver.received,
    )  # fmt: skip
    assert ["KeyError"] == [type(entry["exc_info"]).__name__ for entry in logs if entry["log_level"] == "error"]

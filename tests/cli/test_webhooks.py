"""`openkontext webhooks`, but for `listen`."""

import json
import re

import pytest

from openkontext.store import Account, Store
from tests.cli.conftest import Run

URL = "https://example.com/hook"


@pytest.fixture
def delivery(store: Store, ann: Account) -> str:
    """The id of a delivery of ann's that failed at its first attempt."""
    endpoint = store.create_endpoint(ann.id, URL, ("request.completed", "request.failed"))
    end(store, ann)
    (due,) = store.due_deliveries(1, 30)
    assert endpoint.id == due.delivery.endpoint_id
    store.failed_to(due.delivery.id, due.attempt, 500, "it answered 500", None)
    return due.delivery.id


def end(store: Store, account: Account) -> str:
    """An edit of the account, completed; its id."""
    key, _ = store.create_key(account.id)
    job = store.submit(key, {"prompt": "x"}, {"kind": "url"}, price=40_000, weight=1, steps=4).job
    claim = store.claim("worker")
    assert claim
    store.finish(claim, {"metrics": {}})
    return job.id


def test_new_webhook_prints_its_secret_alone(run: Run, store: Store, ann: Account):
    """What a receiver needs; the id is for people."""
    done = run("webhooks", "add", URL, "--account", "ann")
    (endpoint,) = store.endpoints(ann.id)
    assert (0, f"{endpoint.secret}\n", f"made webhook {endpoint.id} of ann\n") == done
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32}", endpoint.secret)
    assert (URL, ("request.completed", "request.failed")) == (endpoint.url, endpoint.types)


def test_webhook_may_be_of_some_events(run: Run, store: Store, ann: Account):
    """Each once, whatever is written around it."""
    run("webhooks", "add", URL, "--account", "ann", "--events", "request.failed, request.failed,")
    assert [("request.failed",)] == [endpoint.types for endpoint in store.endpoints(ann.id)]


@pytest.mark.parametrize("events", ["", ",", "request.started", "request.failed,all"])
def test_unknown_events_are_refused(run: Run, store: Store, ann: Account, events: str):
    """As wrong usage, with those there are."""
    done = run("webhooks", "add", URL, "--account", "ann", "--events", events)
    assert (2, "") == (done.exit_code, done.stdout)
    assert f"--events: must be of request.completed, request.failed; got '{events}'" in done.stderr
    assert [] == store.endpoints(ann.id)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.com/", "the URL must start with http:// or https://"),
        ("https://ann:secret@example.com/", "the URL must not contain a user name or password"),
        ("https:///hook", "the URL has no host"),
    ],
)
def test_wrong_address_is_refused(run: Run, store: Store, ann: Account, url: str, says: str):
    """As an input's would be."""
    assert (1, "", f"error: {says}\n") == run("webhooks", "add", url, "--account", "ann")
    assert [] == store.endpoints(ann.id)


def test_too_many_webhooks_are_refused(run: Run, store: Store, ann: Account):
    """With what to do about it."""
    while run("webhooks", "add", URL, "--account", "ann").exit_code == 0:
        assert len(store.endpoints(ann.id)) < 100
    done = run("webhooks", "add", URL, "--account", "ann")
    assert (1, "") == (done.exit_code, done.stdout)
    assert re.fullmatch(r"error: an account may have \d+ webhooks.*\n", done.stderr)


def test_list_shows_all_but_the_secrets(run: Run, store: Store, ann: Account):
    """As a table and as JSON, of one account."""
    endpoint = store.create_endpoint(ann.id, URL, ("request.completed", "request.failed"))
    store.create_endpoint(store.create_account("bob").id, URL, ("request.failed",))
    done = run("webhooks", "list", "--account", "ann")
    lines = [re.split(" {2,}", line) for line in done.stdout.splitlines()]
    assert [["id", "url", "events"], [endpoint.id, URL, "request.completed, request.failed"]] == [
        line[:3] for line in lines
    ]
    (shown,) = json.loads(run("webhooks", "list", "--account", "ann", "--json").stdout)
    assert shown.pop("created_at").endswith("Z")
    assert {"id": endpoint.id, "url": URL, "types": ["request.completed", "request.failed"]} == shown


def test_deleted_webhook_is_gone(run: Run, store: Store, ann: Account):
    """From now on nothing is posted to it."""
    endpoint = store.create_endpoint(ann.id, URL, ("request.failed",))
    said = f"deleted webhook {endpoint.id} of ann\n"
    assert (0, "", said) == run("webhooks", "delete", endpoint.id, "--account", "ann")
    assert [] == store.endpoints(ann.id)


@pytest.mark.parametrize("command", ["delete", "secret"])
def test_unknown_webhook_is_an_error(run: Run, store: Store, ann: Account, command: str):
    """Another account's is one too."""
    bobs = store.create_endpoint(store.create_account("bob").id, URL, ("request.failed",)).id
    says = f"error: ann has no webhook '{bobs}'; see: openkontext webhooks list --account ann\n"
    assert (1, "", says) == run("webhooks", command, bobs, "--account", "ann")


def test_secrets_can_be_read_again(run: Run, store: Store, ann: Account):
    """A webhook's, and the account's own, which stays the same."""
    endpoint = store.create_endpoint(ann.id, URL, ("request.failed",))
    assert (0, f"{endpoint.secret}\n", "") == run("webhooks", "secret", endpoint.id, "--account", "ann")
    own = run("webhooks", "secret", "--account", "ann")
    assert (0, f"{store.webhook_secret(ann.id)}\n", "") == own
    assert endpoint.secret not in own.stdout


def test_deliveries_say_what_became_of_each(run: Run, store: Store, ann: Account, delivery: str):
    """The newest first, with the receiver's last answer; as JSON too."""
    pending = store.redeliver(ann.id, delivery)
    assert pending
    (as_json, failed) = json.loads(run("webhooks", "deliveries", "--account", "ann", "--json").stdout)
    assert (pending.id, "pending", 0, None) == tuple(
        as_json[name] for name in ("id", "state", "attempts", "last_status")
    )
    assert (delivery, "failed", 1, 500, "it answered 500", None, URL, "request.completed") == tuple(
        failed[name] for name in ("id", "state", "attempts", "last_status", "last_error", "next_at", "url", "type")
    )
    lines = [re.split(" {2,}", line) for line in run("webhooks", "deliveries", "--account", "ann").stdout.splitlines()]
    assert ["id", "created", "event", "request", "url", "state", "attempts", "last answer", "next attempt"] == lines[0]
    job = failed["request_id"]
    assert [delivery, "request.completed", job, URL, "failed", "1", "it answered 500", "-"] == [
        lines[2][0],
        *lines[2][2:],
    ]


def test_deliveries_come_in_pages_and_by_webhook(run: Run, store: Store, ann: Account):
    """The rest is one page further, and that is said."""
    first = store.create_endpoint(ann.id, URL, ("request.completed",))
    store.create_endpoint(ann.id, f"{URL}/2", ("request.completed",))
    for _ in range(11):
        end(store, ann)
    options = ("--account", "ann", "--json")
    page, rest = (run("webhooks", "deliveries", *options, *more) for more in ((), ("--page", 2)))
    assert (20, 2) == (len(json.loads(page.stdout)), len(json.loads(rest.stdout)))
    table = run("webhooks", "deliveries", "--account", "ann")
    assert "22 in all; the next are: --page 2\n" == table.stderr
    of_one = json.loads(run("webhooks", "deliveries", *options, "--webhook", first.id).stdout)
    assert (11, {first.id}) == (len(of_one), {delivery["webhook_id"] for delivery in of_one})


def test_delivery_is_repeated(run: Run, store: Store, ann: Account, delivery: str):
    """The new one is due at once; its id is printed, alone."""
    done = run("webhooks", "redeliver", delivery, "--account", "ann")
    (again,) = store.due_deliveries(10, 30)
    assert (0, f"{again.delivery.id}\n", "") == done
    assert delivery != again.delivery.id


def test_unknown_delivery_is_not_repeated(run: Run, store: Store, delivery: str):
    """Another account's is unknown."""
    store.create_account("bob")
    says = f"error: bob has no delivery '{delivery}', or its event's body or its webhook is gone\n"
    assert (1, "", says) == run("webhooks", "redeliver", delivery, "--account", "bob")

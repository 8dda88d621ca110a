"""`openkontext keys`."""

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from openkontext.store import Account, Key, Store
from tests.cli.conftest import Run


def made(run: Run, store: Store, *options: object) -> Key:
    """The key that `keys create` makes for ann."""
    key = store.authenticate(run("keys", "create", "--account", "ann", *options).stdout.strip())
    assert key is not None
    return key


def test_new_key_is_alone_on_stdout(run: Run, store: Store, ann: Account):
    """A script can use what is printed as it is; the note for people is elsewhere."""
    done = run("keys", "create", "--account", "ann")
    assert re.fullmatch(r"SG_[0-9a-f]{32}\n", done.stdout)
    key = store.authenticate(done.stdout.strip())
    assert key is not None
    assert (0, ann.id) == (done.exit_code, key.account_id)
    assert f"made key {key.id} of ann; it can't be shown again\n" == done.stderr


def test_key_is_of_the_account_local_by_default(run: Run, store: Store):
    """The one that the first start of `serve` makes."""
    local = store.create_account("local")
    run("keys", "create")
    assert ["active"] == [key["state"] for key in json.loads(run("keys", "list", "--json").stdout)]
    assert 1 == len(store.keys(local.id))


def test_new_key_may_everything_within_the_usual_limits(run: Run, store: Store, ann: Account):
    """Clients that come from elsewhere go on working."""
    key = made(run, store)
    allowed = (key.may_edit, key.may_read_history, key.may_disable_safety, key.may_manage, key.prompt_in_file)
    assert (True,) * 5 == allowed
    assert (60, None, 100, None, None, "") == (
        key.rpm,
        key.max_running,
        key.max_queued,
        key.retention,
        key.expires_at,
        key.label,
    )


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("--no-edit", "may_edit"),
        ("--no-history", "may_read_history"),
        ("--no-disable-safety", "may_disable_safety"),
        ("--no-manage", "may_manage"),
        ("--no-prompt-in-file", "prompt_in_file"),
    ],
)
def test_each_permission_can_be_withheld(run: Run, store: Store, ann: Account, option: str, field: str):
    """That one, and no other."""
    names = ("may_edit", "may_read_history", "may_disable_safety", "may_manage", "prompt_in_file")
    key = made(run, store, option)
    assert [field] == [name for name in names if not getattr(key, name)]


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (("--rpm", 7), "rpm", 7),
        (("--rpm", "unlimited"), "rpm", None),
        (("--max-running", 2), "max_running", 2),
        (("--max-queued", 5), "max_queued", 5),
        (("--max-queued", "unlimited"), "max_queued", None),
        (("--retention", "none"), "retention", 0),
        (("--retention", "12h"), "retention", 43200),
        (("--label", "build server"), "label", "build server"),
    ],
)
def test_each_limit_can_be_chosen(
    run: Run, store: Store, ann: Account, options: tuple[object, ...], field: str, value: object
):
    """And is kept with the key."""
    assert value == getattr(made(run, store, *options), field)


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2592000), ("90s", 90), ("2w", 1209600)])
def test_key_expires_after_a_duration(run: Run, store: Store, ann: Account, text: str, seconds: int):
    """From now on."""
    before = time.time()
    expires_at = made(run, store, "--expires", text).expires_at
    assert expires_at is not None
    assert before + seconds <= expires_at <= time.time() + seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2100-01-01", 4102444800),
        ("2100-01-01T12:30Z", 4102489800),
        ("2100-01-01T12:30", 4102489800),
        ("2100-01-01T12:30+02:00", 4102482600),
    ],
)
def test_key_expires_at_a_time(run: Run, store: Store, ann: Account, text: str, moment: int):
    """UTC, unless the time names an offset."""
    assert moment == made(run, store, "--expires", text).expires_at


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--rpm", "0"), "--rpm: must be a whole number from 1 to 999999999, or unlimited; got '0'"),
        (("--rpm", "many"), "--rpm: must be a whole number from 1 to 999999999, or unlimited; got 'many'"),
        (("--max-running", "-1"), "--max-running: must be a whole number"),
        (("--max-queued", "1000000000"), "--max-queued: must be a whole number"),
        (("--expires", "soon"), "--expires: must be a duration such as 12h or 30d, or a time such as 2027-01-31"),
        (("--expires", "2020-01-01"), "--expires: 2020-01-01 is over already"),
        (("--expires", "9999-12-31T23:59-12:00"), "--expires: must be a duration"),
        (("--retention", "0d"), "--retention: must be a duration such as 90s, 30m, 12h, 30d or 2w, not '0d'"),
        (("--label", "a\nb"), "--label: must be at most 100 printable characters"),
    ],
)
def test_wrong_option_is_refused(run: Run, store: Store, ann: Account, options: tuple[str, ...], says: str):
    """As wrong usage, naming the flag and what it takes; no key is made."""
    done = run("keys", "create", "--account", "ann", *options)
    assert (2, "") == (done.exit_code, done.stdout)
    assert says in done.stderr
    assert [] == store.keys(ann.id)


def test_key_of_an_unknown_account_is_refused(run: Run, data: Path):
    """With what to do about it."""
    done = run("keys", "create", "--account", "bob")
    says = "error: there is no account named 'bob'; `openkontext accounts create` makes one\n"
    assert (1, "", says) == (done.exit_code, done.stdout, done.stderr)


def test_operators_key_is_made_on_request_alone(run: Run, store: Store, ann: Account):
    """And the list says which they are."""
    assert [False, True] == [made(run, store, *options).may_operate for options in ((), ("--operator",))]
    assert [False, True] == [key["operator"] for key in json.loads(run("keys", "list", "--json").stdout)]
    (_, *lines) = run("keys", "list").stdout.splitlines()
    assert ["-", "yes"] == [re.split(" {2,}", line)[9] for line in lines]


def test_list_shows_what_each_key_may(run: Run, store: Store, ann: Account):
    """A line each, by the last four characters; and never more of the key than those."""
    secret = run("keys", "create", "--account", "ann", "--label", "ci", "--retention", "none", "--no-edit").stdout
    (head, line) = run("keys", "list", "--account", "ann").stdout.splitlines()
    shown = dict(zip(re.split(" {2,}", head), re.split(" {2,}", line), strict=True))
    assert shown.pop("created").startswith("20")
    assert {
        "id": "1",
        "key": f"…{secret.strip()[-4:]}",
        "account": "ann",
        "label": "ci",
        "rpm": "60",
        "running": "unlimited",
        "queued": "100",
        "retention": "none",
        "not allowed": "edit",
        "operator": "-",
        "expires": "-",
        "state": "active",
    } == shown


def test_list_is_json_for_scripts(run: Run, store: Store, ann: Account):
    """Everything but the secret."""
    key = made(run, store, "--rpm", "unlimited", "--expires", "2100-01-01", "--no-history")
    (shown,) = json.loads(run("keys", "list", "--json").stdout)
    assert shown.pop("created_at").endswith("Z")
    assert {
        "id": key.id,
        "hint": key.hint,
        "label": "",
        "account": "ann",
        "rpm": None,
        "max_running": None,
        "max_queued": 100,
        "retention": None,
        "edit": True,
        "history": False,
        "disable_safety": True,
        "manage": True,
        "prompt_in_file": True,
        "operator": False,
        "expires_at": "2100-01-01T00:00:00Z",
        "revoked_at": None,
        "state": "active",
    } == shown


def test_list_is_of_one_account_or_of_all(run: Run, store: Store, ann: Account):
    """As one asks."""
    bob = store.create_account("bob")
    made(run, store)
    store.create_key(bob.id)
    answers = [run("keys", "list", "--json", *only).stdout for only in ((), ("--account", "bob"))]
    assert [["ann", "bob"], ["bob"]] == [[key["account"] for key in json.loads(answer)] for answer in answers]


@pytest.mark.parametrize("by", ["id", "hint"])
def test_revoked_key_is_good_for_nothing(run: Run, store: Store, ann: Account, by: str):
    """From that moment, for a service that runs too; the others are."""
    (key, secret), (_, other) = (store.create_key(ann.id) for _ in range(2))
    done = run("keys", "revoke", getattr(key, by))
    assert (0, "", f"revoked key {key.id} (…{key.hint} of ann)\n") == (done.exit_code, done.stdout, done.stderr)
    assert store.authenticate(secret) is None
    assert store.authenticate(other) is not None
    assert ["revoked", "active"] == [key["state"] for key in json.loads(run("keys", "list", "--json").stdout)]


def test_expired_key_is_listed_as_such(run: Run, store: Store, ann: Account):
    """Though nobody revoked it."""
    store.create_key(ann.id, expires_at=time.time() - 1)
    assert ["expired"] == [key["state"] for key in json.loads(run("keys", "list", "--json").stdout)]


def test_revoking_what_is_unknown_is_refused(run: Run, store: Store, ann: Account):
    """And says where to look."""
    done = run("keys", "revoke", "99")
    says = "error: there is no key with the id or the last four characters '99'; see: openkontext keys list\n"
    assert (1, says) == (done.exit_code, done.stderr)


def test_revoking_twice_is_refused(run: Run, store: Store, ann: Account):
    """Somebody else did it."""
    key, _ = store.create_key(ann.id)
    run("keys", "revoke", key.id)
    done = run("keys", "revoke", key.id)
    assert (1, f"error: key 1 (…{key.hint} of ann) was revoked already\n") == (done.exit_code, done.stderr)


def test_revoking_by_what_fits_two_keys_is_refused(run: Run, store: Store, ann: Account, data: Path):
    """Neither is revoked; their ids, or the account, make it clear."""
    store.create_key(ann.id)
    store.create_key(store.create_account("bob").id)
    with closing(sqlite3.connect(data / "openkontext.db", isolation_level=None)) as database:
        database.execute("UPDATE keys SET hint = '9f0e'")
    done = run("keys", "revoke", "9f0e")
    says = "error: '9f0e' fits more than one key: 1 (…9f0e of ann), 2 (…9f0e of bob); revoke it by its id\n"
    assert (1, says) == (done.exit_code, done.stderr)
    assert "revoked key 2 (…9f0e of bob)\n" == run("keys", "revoke", "9f0e", "--account", "bob").stderr
    assert ["active", "revoked"] == [key["state"] for key in json.loads(run("keys", "list", "--json").stdout)]

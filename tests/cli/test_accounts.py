"""`openkontext accounts` and `credits`."""

import json
import time
from pathlib import Path

import pytest

from openkontext.store import Account, Store
from tests.cli.conftest import Run


def test_account_is_made_with_nothing_on_it(run: Run, store: Store):
    """What to do next is said; standard output stays empty."""
    done = run("accounts", "create", "ann")
    next = "openkontext credits add ann 10, openkontext keys create --account ann"
    assert (0, "", f"made the account ann; next: {next}\n") == done
    account = store.account("ann")
    assert account is not None
    assert 0 == account.balance


def test_first_account_makes_the_data_folder(run: Run, tmp_path: Path):
    """Accounts can be there before the service is."""
    assert 0 == run("accounts", "create", "ann", "--data", "new/data").exit_code
    assert ["ann"] == [account["name"] for account in listed(run, "--data", "new/data")]
    assert (tmp_path / "new" / "data" / "openkontext.db").exists()


@pytest.mark.parametrize("words", [("accounts", "list"), ("keys", "create"), ("ledger", "verify"), ("usage",)])
def test_missing_data_folder_is_an_error(run: Run, tmp_path: Path, words: tuple[str, ...]):
    """A wrong folder is said to be one, rather than made and found empty."""
    says = "error: there is no data folder nowhere: name the service's with --data\n"
    assert (1, "", says) == run(*words, "--data", "nowhere")
    assert [] == list(tmp_path.iterdir())


def test_folder_is_the_one_that_the_environment_names(run: Run, data: Path, ann: Account, monkeypatch):
    """As for the service."""
    data.rename(data.with_name("elsewhere"))
    monkeypatch.setenv("OPENKONTEXT_DATA", "elsewhere")
    assert ["ann"] == [account["name"] for account in listed(run)]


def test_damaged_database_is_one_clear_line(run: Run, data: Path):
    """No trace."""
    (data / "openkontext.db").write_bytes(b"no database" * 1000)
    done = run("accounts", "list")
    assert (1, "") == (done.exit_code, done.stdout)
    assert done.stderr.startswith("error: the database sqlite:///")
    assert done.stderr.endswith("can't be used: file is not a database\n")


@pytest.mark.parametrize("name", ["a", "A-1_b.c@example.com", "x" * 64])
def test_usual_names_are_taken(run: Run, store: Store, name: str):
    """An address is one too."""
    assert 0 == run("accounts", "create", name).exit_code
    assert store.account(name) is not None


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a/b", "ann\n", "änn", "a'--"])
def test_other_names_are_refused(run: Run, store: Store, name: str):
    """With what a name may be."""
    says = f"error: an account's name has 1 to 64 letters, digits and . _ - @; got {name!r}\n"
    assert (1, "", says) == run("accounts", "create", name)
    assert [] == store.accounts()


def test_name_is_given_once(run: Run, ann: Account):
    """A second account of it is refused."""
    assert (1, "", "error: there is an account named 'ann' already\n") == run("accounts", "create", "ann")


def test_list_is_by_name(run: Run, store: Store, ann: Account):
    """With balances, as a table or as JSON."""
    store.create_account("Bob")
    lines = run("accounts", "list").stdout.splitlines()
    assert ["name", "balance", "created"] == lines[0].split()
    assert [["Bob", "0"], ["ann", "10"]] == [line.split()[:2] for line in lines[1:]]
    shown = listed(run)
    assert [("Bob", "0"), ("ann", "10")] == [(account["name"], account["balance"]) for account in shown]
    assert all(account["created_at"].endswith("Z") for account in shown)


def test_show_sums_an_account_up(run: Run, store: Store, ann: Account):
    """Its balance, the keys that are good, and its requests by how they ended."""
    key, _ = store.create_key(ann.id)
    store.revoke_key(store.create_key(ann.id)[0].id)
    store.create_key(ann.id, expires_at=time.time() - 1)
    for _ in range(3):
        store.submit(key, {"prompt": "x"}, {"kind": "url"}, price=40_000, weight=1, steps=4)
    finish, fail = store.claim("worker"), store.claim("worker")
    assert finish
    assert fail
    store.finish(finish, {"metrics": {"inference_time": 2.0}})
    store.fail(fail, code="inference_failed", error="it broke", metrics={})
    lines = dict(line.split("  ", 1) for line in run("accounts", "show", "ann").stdout.splitlines())
    assert lines.pop("created").strip().startswith("20")
    shown = {name: value.strip() for name, value in lines.items()}
    assert {
        "name": "ann",
        "balance": "9.92",
        "active keys": "1",
        "requests": "3: 1 completed, 1 failed",
    } == shown
    as_json = json.loads(run("accounts", "show", "ann", "--json").stdout)
    assert ("9.92", 1, 3, 1, 1) == tuple(
        as_json[name] for name in ("balance", "active_keys", "requests", "completed", "failed")
    )


@pytest.mark.parametrize(
    "words", [("accounts", "show", "bob"), ("credits", "show", "bob"), ("credits", "add", "bob", "1")]
)
def test_unknown_account_is_an_error(run: Run, ann: Account, words: tuple[str, ...]):
    """With what to do about it."""
    says = "error: there is no account named 'bob'; `openkontext accounts create` makes one\n"
    assert (1, "", says) == run(*words)


@pytest.mark.parametrize(
    ("amount", "balance"), [("5", "15"), ("0.000001", "10.000001"), ("1e3", "1010"), ("0.10", "10.1")]
)
def test_credits_are_added_exactly(run: Run, ann: Account, amount: str, balance: str):
    """The new balance is printed, alone."""
    assert (0, f"{balance}\n", "") == run("credits", "add", "ann", amount)
    assert (0, f"{balance}\n", "") == run("credits", "show", "ann")
    assert {"account": "ann", "balance": balance} == json.loads(run("credits", "show", "ann", "--json").stdout)


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        ("0", "the amount must be more than 0 and at most 1000000000 credits, not 0"),
        ("1000000001", "the amount must be more than 0 and at most 1000000000 credits, not 1000000001"),
        ("NaN", "the amount must be more than 0 and at most 1000000000 credits, not NaN"),
        ("Infinity", "the amount must be more than 0 and at most 1000000000 credits, not Infinity"),
        ("ten", "the amount must be a number of credits such as 10 or 0.5, not 'ten'"),
        ("1,5", "the amount must be a number of credits such as 10 or 0.5, not '1,5'"),
        ("0.0000001", "an amount has at most 6 decimals, and 0.0000001 has more"),
        ("0.0400000000000000000000000000000001", "an amount has at most 6 decimals, and 0.04"),
    ],
)
def test_wrong_amount_is_refused(run: Run, store: Store, ann: Account, amount: str, says: str):
    """And nothing is added."""
    done = run("credits", "add", "ann", amount)
    assert (1, "") == (done.exit_code, done.stdout)
    assert done.stderr.startswith(f"error: {says}")
    assert 10_000_000 == store.balance(ann.id)


def test_negative_amount_is_refused(run: Run, store: Store, ann: Account):
    """Credits aren't taken away by adding."""
    assert 2 == run("credits", "add", "ann", "-5").exit_code
    assert 1 == run("credits", "add", "ann", "--", "-5").exit_code
    assert 10_000_000 == store.balance(ann.id)


def listed(run: Run, *options: str) -> list[dict[str, str]]:
    """What `accounts list` says."""
    found: list[dict[str, str]] = json.loads(run("accounts", "list", "--json", *options).stdout)
    return found

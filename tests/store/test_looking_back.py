"""What the account's page shows: searches of the history, usage by day, the books with balances, keys in pages."""

from collections.abc import Callable
from datetime import date

import pytest

from openkontext.contract import EditParameters, State
from openkontext.store import Account, Key, Store, Submitted

DAY = 86_400
MIDNIGHT = 1_799_971_200.0


def asked(prompt: str) -> dict:
    """Parameters as the gateway submits them."""
    return EditParameters(prompt=prompt).as_dict()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["snow"], ["Make it SNOW"]),
        (["IT", "make"], ["Make it SNOW"]),
        (["make", "rain"], []),
        (["été"], ["l'ÉTÉ, 100%"]),
        (["ÉTÉ"], ["l'ÉTÉ, 100%"]),
        (["L'é"], ["l'ÉTÉ, 100%"]),
        (["0%"], ["l'ÉTÉ, 100%"]),
        (["a_b"], ["a_b"]),
        (["a/b"], ["a/b"]),
        (['"q"'], ['say "q"']),
        (["\\"], ["back\\slash"]),
        (["%"], ["l'ÉTÉ, 100%"]),
        (["/"], ["a/b"]),
        (["png"], []),
        (["guidance"], []),
        (['","aspect_ratio":"x'], ['quotes","aspect_ratio":"x']),
        (["match_input_image"], []),
    ],
)
def test_words_of_the_prompt(
    store: Store, account: Account, submit: Callable[..., Submitted], words: list[str], found: list[str]
):
    """All of them, as they are written, in the prompt and nowhere else."""
    prompts = [
        "Make it SNOW",
        "l'ÉTÉ, 100%",
        "a_b",
        "axb",
        "a/b",
        'say "q"',
        "back\\slash",
        'quotes","aspect_ratio":"x',
    ]
    for prompt in prompts:
        submit(parameters=asked(prompt))
    page = store.history(account.id, words=words)
    assert (found, len(found)) == ([entry.parameters["prompt"] for entry in page.entries], page.total)


def test_a_forgotten_prompt_is_not_found(store: Store, account: Account, submit: Callable[..., Submitted]):
    """What a key of retention 0 asked for is gone with the end, for searches too."""
    key, _ = store.create_key(account.id, retention=0)
    submit(by=key, parameters=asked("secret"))
    assert store.history(account.id, words=["secret"]).total == 1
    claim = store.claim("w")
    assert claim is not None
    store.finish(claim, {"prompt": "secret", "metrics": {}})
    assert store.history(account.id, words=["secret"]).total == 0


def test_filters_together(store: Store, account: Account, key: Key, submit: Callable[..., Submitted], clock):
    """Each narrows what the others leave; pages count what is left."""
    parent = submit().job.id
    children = []
    for _ in range(3):
        clock.advance(1)
        children.append(submit(parent_id=parent, parameters=asked("snow")).job.id)
    store.cancel(children[0], account.id)
    submit(parent_id=parent, parameters=asked("rain"))
    page = store.history(account.id, parent_id=parent, words=["snow"], states=[State.QUEUED], page=2, per_page=1)
    assert ([children[1]], 2) == ([entry.job.id for entry in page.entries], page.total)
    cancelled = store.history(account.id, codes=["cancelled"], words=["snow"])
    assert [(children[0], key.hint)] == [(entry.job.id, entry.key_hint) for entry in cancelled.entries]


def test_where_the_picture_is(store: Store, account: Account, submit: Callable[..., Submitted], clock):
    """It is told as long as the picture is there: until its owner erases it, or its time is over."""
    source = {"kind": "blob", "key": "inputs/x"}
    first, second = submit(input=source).job.id, submit(input=source).job.id
    for _ in range(2):
        claim = store.claim("w")
        assert claim is not None
        store.finish(claim, {"prompt": "", "metrics": {}})
    store.erase(first, account.id)

    def told() -> list[tuple]:
        entries = [store.entry(job_id, account.id) for job_id in (first, second)]
        return [(entry and entry.input, store.source(entry.job.id)) for entry in entries if entry]

    assert [(None, None), (source, source)] == told()
    clock.advance(3600)
    assert (None, source) == told()[1]
    store.expire()
    assert [(None, None), (None, None)] == told()
    assert None is store.source("unknown")


def test_an_entry_is_of_its_account(store: Store, account: Account, submit: Callable[..., Submitted]):
    """Another's is unknown."""
    job_id = submit().job.id
    entry = store.entry(job_id, account.id)
    assert [entry] == store.history(account.id).entries
    assert [None, None] == [store.entry(job_id, store.create_account("x").id), store.entry("x", account.id)]


def test_usage_of_each_day(store: Store, account: Account, submit: Callable[..., Submitted], clock):
    """Days begin at midnight, UTC, and those without a job are there too; failures are counted by their code."""
    clock.now = MIDNIGHT - 0.25
    submit()
    clock.now = MIDNIGHT
    for code in ("blocked", "inference_failed", "blocked"):
        submit()
        claim = store.claim("w")
        assert claim is not None
        store.fail(claim, code=code, error="no", metrics={"inference_time": 0.5})
    days = store.daily_usage(account.id, date(2027, 1, 13), date(2027, 1, 15))
    assert [date(2027, 1, 13), date(2027, 1, 14), date(2027, 1, 15)] == [each.day for each in days]
    shown = [(each.requests, each.completed, each.failed, each.cost, each.gpu_seconds) for each in days]
    # The first job was taken by the first claim.
    assert [(0, 0, 0, 0, 0.0), (1, 0, 1, 0, 0.5), (3, 0, 2, 0, 1.0)] == shown
    assert [{}, {"blocked": 1}, {"inference_failed": 1, "blocked": 1}] == [each.failures for each in days]
    stranger = store.create_account("stranger")
    assert [0] == [each.requests for each in store.daily_usage(stranger.id, date(2027, 1, 15), date(2027, 1, 15))]


def test_books_in_pages(store: Store, account: Account, submit: Callable[..., Submitted]):
    """Newest first, each with the balance after it, whichever page it is on; of one account alone."""
    stranger = store.create_account("stranger")
    store.add_credits(stranger.id, 5)
    for _ in range(3):
        submit()
    store.add_credits(account.id, 7)
    balances = [9_880_007, 9_880_000, 9_920_000, 9_960_000, 10_000_000]
    for per_page in (1, 2, 5):
        pages = [store.ledger_page(account.id, page=page, per_page=per_page) for page in range(1, 7)]
        assert balances == [each.balance for entries, _ in pages for each in entries]
        assert {5} == {total for _, total in pages}
    entries, _ = store.ledger_page(account.id, page=1, per_page=5)
    assert store.ledger(account.id)[::-1] == [each.entry for each in entries]
    assert [(5, 5)] == [
        (each.balance, each.entry.amount) for each in store.ledger_page(stranger.id, page=1, per_page=5)[0]
    ]


def test_how_an_account_stands(store: Store, account: Account, submit: Callable[..., Submitted], clock):
    """What is held for jobs that wait or run, and what was taken since midnight."""
    clock.now = MIDNIGHT - 1
    for price in (1, 10, 100, 1000):
        submit(price=price)
        claim = store.claim("w") if price < 100 else None
        if claim:
            store.finish(claim, {"prompt": "", "metrics": {}})
        clock.now = MIDNIGHT
    overview = store.overview(account.id)
    assert (1100, 10) == (overview.held, overview.spent_today)
    assert (account.name, 10_000_000 - 1111) == (overview.account.name, overview.account.balance)


def test_keys_in_pages(store: Store, account: Account, key: Key, clock):
    """Good ones first, the newest of each first."""
    soon, gone, last = (store.create_key(account.id, expires_at=at)[0] for at in (clock.now + 1, None, None))
    store.revoke_key(gone.id)
    clock.advance(1)
    pages = [store.key_page(account.id, page=page, per_page=3) for page in (1, 2)]
    assert ([last.id, key.id, gone.id, soon.id], [4, 4]) == (
        [each.id for keys, _ in pages for each in keys], [total for _, total in pages],
    )  # fmt: skip


def test_no_more_keys_than_so_many(store: Store, account: Account, key: Key, clock):
    """Only good ones count, and only of the account."""
    store.create_key(account.id, expires_at=clock.now + 1)
    with pytest.raises(ValueError, match="2 keys that are good"):
        store.create_key(account.id, most=2)
    assert 2 == len(store.keys(account.id))
    clock.advance(1)
    store.create_key(account.id, most=2)
    store.create_key(store.create_account("x").id, most=1)

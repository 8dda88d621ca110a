"""Keys that make keys: never one that may more than the one that asks."""

import json

import pytest

from openkontext.gateway.keys import MOST_KEYS
from tests.gateway.harness import EDIT, SUBMIT, assert_error, connect

KEYS = "/v2/account/keys"
SOON = "2027-01-15T09:00:00Z"


async def made(gateway, **wanted) -> dict:
    response = await gateway.http.post(KEYS, json=wanted)
    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()


def limited(gateway, **options) -> None:
    """From now on, ask with such a key."""
    gateway.http.headers["x-api-key"] = gateway.new_key(**options)


async def refusal(gateway, **wanted) -> str:
    return assert_error(await gateway.http.post(KEYS, json=wanted), 400, "invalid_parameter")["error"]


async def test_a_new_key_works(gateway):
    """Its secret is told once, and opens what it was given."""
    new = await made(gateway, label="for the page", may_edit=False)
    async with connect(gateway.app, new["key"]) as http:
        assert (await http.get("/v2/account")).json()["key"] == {k: v for k, v in new.items() if k != "key"}
        assert_error(await http.post(SUBMIT, json=EDIT), 403, "forbidden")
    listed = await gateway.http.get(KEYS)
    assert new["key"] not in listed.text
    assert [(each["label"], each["hint"]) for each in listed.json()["keys"]] == [
        ("for the page", new["key"][-4:]), ("", gateway.secret[-4:]),
    ]  # fmt: skip


async def test_all_that_can_be_wished_for(gateway):
    """Limits, life and permissions are as they were asked for."""
    wanted = {
        "label": "all", "rpm": 7, "max_running": 2, "max_queued": None, "expires_at": SOON, "retention": 60,
        "may_edit": True, "may_read_history": False, "may_disable_safety": False, "may_manage": False,
    }  # fmt: skip
    limited(gateway, max_queued=None)
    new = await made(gateway, **wanted)
    assert wanted | {"expires_at": "2027-01-15T09:00:00.000Z"} == {name: new[name] for name in wanted}
    assert False is new["may_operate"]


async def test_what_is_not_named(gateway):
    """It is what the key that asks has; of no limit, the usual one."""
    names = ("rpm", "max_running", "max_queued", "expires_at", "retention", "may_manage", "may_disable_safety")
    usual = await made(gateway)
    assert [60, None, 100, None, None, True, True] == [usual[name] for name in names]
    own = {"rpm": 5, "max_running": 1, "max_queued": 200, "retention": 0.0, "may_disable_safety": False}
    limited(gateway, expires_at=gateway.clock() + 3600, prompt_in_file=False, **own)
    new = await made(gateway)
    assert [5, 1, 100, "2027-01-15T09:00:00.000Z", 0.0, True, False] == [new[name] for name in names]
    assert False is gateway.services.store.key(new["id"]).prompt_in_file


PERMISSIONS = ("may_edit", "may_read_history", "may_disable_safety")


@pytest.mark.parametrize("name", PERMISSIONS)
async def test_no_permission_that_it_lacks(gateway, name):
    """Neither asked for, nor by saying nothing; to leave it away is fine."""
    limited(gateway, **{name: False})
    assert f"{name} can't be given" in await refusal(gateway, **{name: True})
    assert [False, False] == [(await made(gateway, **wanted))[name] for wanted in ({}, {name: False})]


@pytest.mark.parametrize("name", ["rpm", "max_running", "max_queued"])
async def test_no_larger_limit(gateway, name):
    """Of what the key has a limit of, its keys have as much or less."""
    limited(gateway, **{"rpm": 10, "max_running": 10, "max_queued": 10, name: 5})
    assert [5, 4, 5] == [(await made(gateway, **wanted))[name] for wanted in ({}, {name: 4}, {name: 5})]
    for value in (6, None, 10**9):
        assert "from 1 to 5, this key's own limit" in await refusal(gateway, **{name: value})


async def test_no_longer_life(gateway):
    """A key that ends makes none that outlives it."""
    limited(gateway, expires_at=gateway.clock() + 3600)
    assert SOON[:19] == (await made(gateway, expires_at=SOON))["expires_at"][:19]
    for value in ("2027-01-15T09:00:01Z", "2027-01-16", "9999-12-31"):
        assert "when this key expires" in await refusal(gateway, expires_at=value)
    assert "expires_at must be a time" in await refusal(gateway, expires_at=None)


async def test_no_longer_retention(gateway):
    """What is delivered once is not kept by way of another key, nor anything longer than the service keeps it."""
    assert [None, 3600.0, 0.0] == [(await made(gateway, retention=value))["retention"] for value in (None, 3600, 0)]
    assert "to 3600, as long" in await refusal(gateway, retention=3600.5)
    limited(gateway, retention=0)
    for value in (1, None):
        assert "to 0, as long" in await refusal(gateway, retention=value)
    limited(gateway, retention=7200)
    assert [None, 7200.0] == [(await made(gateway, retention=value))["retention"] for value in (None, 7200)]


async def test_no_operators_rights(gateway):
    """Whoever asks."""
    for secret in (gateway.secret, gateway.new_key(may_operate=True)):
        gateway.http.headers["x-api-key"] = secret
        for value in (True, False):
            assert "'may_operate' is not a parameter" in await refusal(gateway, may_operate=value)
        assert False is (await made(gateway))["may_operate"]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("label", [None, 5, "a\nb", "a" * 101, ["x"]]),
        ("rpm", [0, -1, 1.0, "5", True, 10**9, [], {}]),
        ("max_running", [0, False, 2.5]),
        ("max_queued", [0, "", 10**99]),
        ("expires_at", ["", 5, "tomorrow", "2027-01-15T08:00:00Z", "2020-01-01", True, "2027-02-30"]),
        ("expires_at", ["9999-12-31T23:00:00-12:00", "9999-12-31T23:59:59.999999Z"]),
        ("retention", [-1, "60", True, 1e308, []]),
        ("may_edit", [None, 1, "true", 0]),
        ("may_manage", ["no"]),
    ],
)
async def test_what_is_no_value(gateway, field, values):
    """Types are strict, and the answer names what is wrong."""
    assert [True] * len(values) == [field in await refusal(gateway, **{field: value}) for value in values]


async def test_all_that_is_wrong_is_named(gateway):
    """One answer names every mistake, and no key is made."""
    error = await refusal(gateway, rpm=0, may_edit="x", lable="x")
    assert [True] * 3 == [name in error for name in ("rpm must", "may_edit must", "'lable' is not a parameter")]
    assert 1 == len(gateway.services.store.keys(gateway.account.id))


async def test_a_body_that_is_none(gateway):
    """What is no JSON object makes no key."""
    assert_error(await gateway.http.post(KEYS), 400, "invalid_json")
    assert_error(await gateway.http.post(KEYS, json=["x"]), 400, "invalid_json")


async def test_there_are_so_many(gateway):
    """An account has a hundred good keys by this way; one that is revoked or has expired makes room."""
    store = gateway.services.store
    keys = [store.create_key(gateway.account.id)[0] for _ in range(MOST_KEYS - 2)]
    short = await made(gateway, expires_at=SOON)
    assert "100 keys that are good" in await refusal(gateway)
    store.revoke_key(keys[0].id)
    await made(gateway)
    assert "revoke one first" in await refusal(gateway)
    gateway.clock.advance(3600)
    await made(gateway)
    page = (await gateway.http.get(f"{KEYS}?per_page=100&page=2")).json()
    assert (102, [short["id"], keys[0].id]) == (page["total"], [each["id"] for each in page["keys"]])


async def test_revoking(gateway):
    """It stops at once, is listed behind the others, and can't be revoked again; others are not touched."""
    new = await made(gateway)
    assert 204 == (await gateway.http.delete(f"{KEYS}/{new['id']}")).status_code
    async with connect(gateway.app, new["key"]) as http:
        assert_error(await http.get("/v2/account"), 401, "invalid_key")
    assert_error(await gateway.http.delete(f"{KEYS}/{new['id']}"), 404, "not_found")
    listed = (await gateway.http.get(KEYS)).json()["keys"]
    assert [(gateway.key.id, None), (new["id"], "2027-01-15T08:00:00.000Z")] == [
        (each["id"], each["revoked_at"]) for each in listed
    ]


async def test_no_key_revokes_itself(gateway):
    """Or nobody could make another."""
    error = assert_error(await gateway.http.delete(f"{KEYS}/{gateway.key.id}"), 400, "invalid_parameter")
    assert "can't revoke itself" in error["error"]
    assert 200 == (await gateway.http.get("/v2/account")).status_code


async def test_an_operators_key(gateway):
    """It is revoked by one that may as much."""
    store = gateway.services.store
    key, _ = store.create_key(gateway.account.id, may_operate=True)
    assert_error(await gateway.http.delete(f"{KEYS}/{key.id}"), 403, "forbidden")
    limited(gateway, may_operate=True)
    assert 204 == (await gateway.http.delete(f"{KEYS}/{key.id}")).status_code


@pytest.mark.parametrize("id", ["0", "999", "-1", "x", "1.0", "9" * 30, "%D9%A1", "stranger"])
async def test_unknown_keys(gateway, id):
    """Another account's is as unknown as one that isn't there."""
    stranger, _ = gateway.services.store.create_key(gateway.new_account("stranger").id)
    id = id.replace("stranger", str(stranger.id))
    assert_error(await gateway.http.delete(f"{KEYS}/{id}"), 404, "not_found")
    assert None is gateway.services.store.key(stranger.id).revoked_at


async def test_permission(gateway):
    """Only a key that may manage the account sees, makes or revokes any."""
    limited(gateway, may_manage=False)
    for method, path in (("GET", KEYS), ("POST", KEYS), ("DELETE", f"{KEYS}/{gateway.key.id}")):
        error = assert_error(await gateway.http.request(method, path, json={}), 403, "forbidden")["error"]
        assert "manage the account" in error
    assert 2 == len(gateway.services.store.keys(gateway.account.id))


async def test_the_schema_says_so(gateway):
    """What the document allows in a body is what is known."""
    document = (await gateway.http.get("/openapi.json")).json()
    body = document["paths"][KEYS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    unknown = await refusal(gateway, x=1)
    assert ", ".join(body["properties"]) == unknown.partition("known are ")[2]
    assert "may_operate" not in json.dumps(body)

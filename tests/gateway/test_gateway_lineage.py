"""Where a picture comes from: the request whose output was given as the input."""

from tests.gateway.harness import EDIT, RUN, SUBMIT, Gateway, assert_error, connect, data_uri, picture


async def parent(gateway: Gateway, request_id: str) -> str | None:
    """What the history says."""
    entries = (await gateway.http.get("/v2/requests")).json()["requests"]
    return next(entry for entry in entries if entry["request_id"] == request_id).get("parent_request_id")


async def test_an_output_as_an_input(gateway):
    """The next request names the one before it, in its body and in the history; a first has no parent."""
    first = await gateway.completed()
    second = await gateway.completed(input_image=first["output"])
    third = await gateway.completed(input_image=second["output"])
    chain = [body.get("parent_request_id") for body in (first, second, third)]
    assert chain == [None, first["request_id"], second["request_id"]]
    assert [await parent(gateway, body["request_id"]) for body in (first, second, third)] == chain


async def test_an_input_as_an_input(gateway):
    """What is made from the same picture as another, replays too, descends from what that one descends from."""
    first = await gateway.completed()
    second = await gateway.completed(input_image=first["output"])
    replay = (await gateway.http.post(f"/v2/requests/{second['request_id']}/replay")).json()
    made = [replay["request_id"]]
    made += [(await gateway.submit(input_image=body["input"]))["request_id"] for body in (second, first)]
    chain = [first["request_id"], first["request_id"], None]
    assert chain == [await parent(gateway, request_id) for request_id in made]


async def test_the_worker_knows_the_parent(gateway):
    """The claim carries it, for the receipt in the file."""
    first = await gateway.completed()
    await gateway.submit(input_image=first["output"])
    assert gateway.worker.take().parent_id == first["request_id"]


async def test_the_link_outlives_the_parent(gateway):
    """The history still tells after the parent's picture was erased."""
    first = await gateway.completed()
    second = (await gateway.submit(input_image=first["output"]))["request_id"]
    await gateway.http.delete(f"/v2/requests/{first['request_id']}")
    assert await parent(gateway, second) == first["request_id"]


async def test_another_accounts_output(gateway):
    """Who was given a picture's address may edit it, but learns nothing of its request."""
    first = await gateway.completed()
    async with connect(gateway.app, gateway.new_key(gateway.new_account("friend"))) as http:
        submitted = (await http.post(SUBMIT, json=EDIT | {"input_image": first["output"]})).json()
        gateway.worker.complete()
        assert "parent_request_id" not in (await http.get(submitted["response_url"])).json()
        assert "parent_request_id" not in (await http.get("/v2/requests")).json()["requests"][0]


async def test_an_upload_as_an_input(gateway):
    """An uploaded picture is taken without a fetch, by v1 too, and is nobody's child."""
    services = gateway.services
    data = picture(64, 40)
    services.blobs.put("uploads/0a/1b.png", data)
    url = "http://gateway.test" + services.signer.sign("uploads/0a/1b.png", int(gateway.clock()) + 60)
    request_id = (await gateway.submit(input_image=url))["request_id"]
    claim = gateway.worker.take()
    assert ({"kind": "blob", "key": f"inputs/{request_id}"}, None) == (claim.input, claim.parent_id)
    assert services.blobs.get(claim.input["key"]) == data
    gateway.clock.advance(60)
    for path in (SUBMIT, RUN):
        refused = await gateway.http.post(path, json=EDIT | {"input_image": url})
        assert "expired" in assert_error(refused, 400, "invalid_image")["error"]


async def test_other_pictures_have_no_parent(gateway):
    """A picture that came as bytes has none, even if it is an output's."""
    first = await gateway.completed()
    data = (await gateway.http.get(first["output"])).content
    second = await gateway.completed(input_image=data_uri(data))
    assert "parent_request_id" not in second

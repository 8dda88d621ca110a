"""The model's description: open to all, and made from the contract."""

import pytest

from openkontext.contract import CODES, PARAMETERS, SLUG, State, parse
from tests.gateway.harness import assert_error, connect


async def test_the_list(gateway):
    """It has OpenAI's shape, and the model's own description in it."""
    async with connect(gateway.app) as anybody:
        listed = (await anybody.get("/v1/models")).json()
        described = (await anybody.get(f"/v1/models/{SLUG}")).json()
        assert (await anybody.get(f"/v2/{SLUG}")).json() == described
    assert listed == {"object": "list", "data": [described]}
    names = ("id", "object", "created", "owned_by")
    assert [described[name] for name in names] == [SLUG, "model", 1_750_896_000, "black-forest-labs"]


async def test_the_openai_client_reads_it(live):
    """The unmodified client lists and finds the model."""
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.secret) as client:
        assert [model.id for model in client.models.list()] == [SLUG]
        assert client.models.retrieve(SLUG).object == "model"


async def test_all_of_the_contract(start):
    """Parameters with their defaults and bounds, states, errors, and the price here."""
    gateway = await start(price="0.5")
    model = (await gateway.http.get(f"/v2/{SLUG}")).json()
    assert [each["name"] for each in model["parameters"]] == [parameter.name for parameter in PARAMETERS]
    steps = next(each for each in model["parameters"] if each["name"] == "num_inference_steps")
    expected = {"type": "integer", "required": False, "default": 35, "minimum": 4, "maximum": 50}
    assert expected == {name: steps[name] for name in expected}
    assert model["states"] == [{"state": state.value, "phrase": state.phrase} for state in State]
    assert {each["code"]: (each["status"], each["meaning"]) for each in model["errors"]} == CODES
    assert model["price"] == 0.5


async def test_the_example_is_a_request(gateway):
    """What is given as an example would be taken."""
    model = (await gateway.http.get(f"/v2/{SLUG}")).json()
    parameters, image = parse(model["example"])
    assert (parameters.num_inference_steps, image) == (35, "https://example.com/picture.png")
    assert (await gateway.http.post(f"/v2/{SLUG}", json=model["example"])).status_code == 200


async def test_other_models(gateway):
    """There is one."""
    async with connect(gateway.app) as anybody:
        for path in ("/v1/models/other", "/v2/other"):
            assert "other" in assert_error(await anybody.get(path), 404, "not_found")["error"]


async def test_measured_times(gateway):
    """What edits took here, and nothing before there was one."""
    async with connect(gateway.app) as anybody:
        assert (await anybody.get(f"/v2/{SLUG}")).json()["latency"] == []
        gateway.services.store.note_timing("nano", 512, 384, step_seconds=0.2, other_seconds=0.5)
        model = (await anybody.get(f"/v1/models/{SLUG}")).json()
    measured = {"checkpoint": "nano", "width": 512, "height": 384, "samples": 1}
    assert [measured | {"step_seconds": 0.2, "other_seconds": 0.5}] == model["latency"]

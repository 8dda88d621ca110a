"""What there is to ask for: the one model, its parameters and its price, made from the contract; no key is needed."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from openkontext.contract import CODES, DEFAULTS, EXAMPLE_PROMPT, PARAMETERS, SLUG, Parameter, State, money
from openkontext.store.records import Latency

from .openapi import answers, errors
from .services import Services, services_of
from .submission import check_slug

router = APIRouter()

# The day that FLUX.1 Kontext [dev] was published, 2025-06-26: clients of OpenAI's shape want a date.
_CREATED = 1_750_896_000
_EXAMPLE = {"input_image": "https://example.com/picture.png", "prompt": EXAMPLE_PROMPT} | DEFAULTS


@router.get("/v1/models", tags=["v1"], responses={200: answers("All models", "Models"), **errors(500, 503)})
async def models(request: Request) -> Response:
    """The models of this server, in the shape of OpenAI's list."""
    return JSONResponse({"object": "list", "data": [await _described(services_of(request))]})


@router.get("/v1/models/{slug}", tags=["v1"], responses={200: answers("The model", "Model"), **errors(404, 500, 503)})
@router.get("/v2/{slug}", tags=["v2"], responses={200: answers("The model", "Model"), **errors(404, 500, 503)})
async def model(request: Request, slug: str) -> Response:
    """The model: its parameters, states, errors and price."""
    check_slug(slug)
    return JSONResponse(await _described(services_of(request)))


async def latency(services: Services) -> list[Latency]:
    """The seconds that edits took here, a step and all else, by checkpoint and size. Raises StoreUnavailable."""
    return await services.watcher.cached("latency", services.store.latencies)


async def _described(services: Services) -> dict[str, Any]:
    """All that the contract says of the model, what an edit costs here, and how long edits took."""
    return {
        "id": SLUG,
        "object": "model",
        "created": _CREATED,
        "owned_by": "black-forest-labs",
        "price": money.wire(services.price),
        "parameters": [_parameter(parameter) for parameter in PARAMETERS],
        "states": [{"state": state.value, "phrase": state.phrase} for state in State],
        "errors": [{"code": code, "status": status, "meaning": text} for code, (status, text) in CODES.items()],
        "example": _EXAMPLE,
        "latency": [asdict(each) for each in await latency(services)],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described = {"name": parameter.name, "type": parameter.type, "required": parameter.required}
    described |= {"allowed": parameter.allowed, "help": parameter.help}
    bounds = {name: getattr(parameter, name) for name in ("minimum", "maximum", "choices", "max_length", "blanks")}
    default = {} if parameter.required else {"default": parameter.default}
    return described | default | {name: bound for name, bound in bounds.items() if bound not in (None, ())}

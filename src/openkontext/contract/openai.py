"""OpenAI's `POST /v1/images/edits` in terms of an edit: its parameters, sizes and qualities, and its errors' shape.

Source: openai-python 3.54.0, types/image_edit_params.py and images_response.py.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .errors import Problem
from .parameters import ASPECT_RATIOS, BY_NAME, MATCH_INPUT_IMAGE, SEED_MAX, SLUG, Parameter
from .sizes import aspect_error, aspect_of

# Denoising steps by quality; "standard" and "hd" are what DALL·E 3 had for medium and high.
QUALITIES: Final = {
    "auto": 35, "low": 8, "medium": 20, "high": 35, "xhigh": 50, "max": 50, "standard": 20, "hd": 35,
}  # fmt: skip
OUTPUT_FORMATS: Final = {"png": "png", "jpeg": "jpg", "webp": "webp"}
# Between two neighbouring aspect ratios no size is further from both; beyond the longest, it is no longer near.
NEAR_ENOUGH: Final = 0.15

PARAMETERS: Final = (
    BY_NAME["prompt"],
    Parameter("model", "string", "The one model there is.", SLUG),
    Parameter("n", "integer", "How many pictures, each of its own seed.", 1, minimum=1, maximum=4),
    Parameter("size", "string", "auto (as the image), or WIDTHxHEIGHT for the nearest aspect ratio.", "auto"),
    Parameter("quality", "string", "Denoising steps.", "auto", choices=tuple(QUALITIES)),
    Parameter("response_format", "string", "The pictures or their addresses.", "b64_json", choices=("b64_json", "url")),
    Parameter("output_format", "string", "File format of the output.", "png", choices=tuple(OUTPUT_FORMATS)),
    Parameter("output_compression", "integer", "Quality of webp and jpeg.", 90, minimum=0, maximum=100),
    # Not OpenAI's: for `extra_body`.
    BY_NAME["seed"],
    BY_NAME["guidance"],
    BY_NAME["num_inference_steps"],
)
# Taken where they ask for what happens anyway: name -> (that value, why no other).
ONLY: Final[dict[str, tuple[Any, str]]] = {
    "background": ("auto", "the model has no say in transparency, and outputs are opaque"),
    "moderation": ("auto", "how strict the safety checker is, is the server's setting"),
    "stream": (False, "this route doesn't stream; /v2/requests/{id}/events shows a request's progress"),
    "partial_images": (0, "this route doesn't stream; /v2/requests/{id}/events shows a request's previews"),
}
REFUSED: Final = {
    "mask": "say in the prompt what to change and what to keep",
    "markup": "say in the prompt what to change and what to keep",
    "input_fidelity": "how closely to follow the prompt is guidance, from 0 to 10",
    "complexity": "how much work goes into a picture is quality",
    "frame_count": "outputs are single pictures",
    "frame_duration_ms": "outputs are single pictures",
    "svg": "outputs are png, jpeg or webp",
}
IGNORED: Final = ("user", "safety_identifier")
IMAGES: Final = ("image", "images")

_TABLE: Final = {parameter.name: parameter for parameter in PARAMETERS}
_KNOWN: Final = (*IMAGES, *_TABLE, *ONLY, *REFUSED, *IGNORED)
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
# The picture's name with us, and what a message may go on with.
_OURS = re.compile(r"\binput_image\b( the image\b)?")
_ONE_IMAGE = 'image must be one picture: a file, or in JSON a URL, a data URL or {"image_url": …}'
# Our code, where OpenAI's clients look for another.
_CODES: Final = {"blocked": "moderation_blocked"}
_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    406: "insufficient_quota",
    429: "rate_limit_error",
}

# The parameter at fault, and a sentence that names it.
_Fault = tuple[str, str]


@dataclass(frozen=True)
class ImagesEdit:
    """A checked request: ``fields`` are those of an edit, ``seed`` None draws one for each of the ``n`` pictures."""

    fields: dict[str, Any]
    seed: int | None
    n: int
    response_format: str
    output_format: str

    def edits(self) -> Iterator[dict[str, Any]]:
        """The fields of each picture's edit: they differ in the seed."""
        for index in range(self.n):
            yield self.fields | {"seed": None if self.seed is None else self.seed + index}


def from_form(texts: Mapping[str, str]) -> dict[str, Any]:
    """A form's texts as the JSON values they stand for; what doesn't parse stays text, for `parse` to refuse."""
    return {name: _from_text(name, text) for name, text in texts.items()}


def parse(fields: Mapping[str, Any]) -> ImagesEdit:
    """Check the fields of a request, as JSON gave them; null is as good as absent.

    Raises `Problem`: ``not_found`` for another model, else ``invalid_parameter`` with a sentence for everything that
    is wrong, and the ``param`` at fault if it is one.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    faults = [fault for name, value in given.items() if (fault := _fault(name, value))]
    faults += [] if "prompt" in given else [("prompt", "prompt is missing: what to change")]
    image = _image(given)
    faults += [] if image else [("image", _ONE_IMAGE)]
    values = {
        parameter.name: given.get(parameter.name, parameter.default)
        for parameter in PARAMETERS
        if not parameter.required
    }
    seed = _seed(given)
    if not faults and seed is not None and seed + values["n"] - 1 > SEED_MAX:
        faults = [("seed", f"seed must leave room for {values['n']} seeds in a row, up to 2^63-1")]
    if faults:
        raise _problem(faults)
    if values["model"] != SLUG:
        text = f"There is no model {values['model'][:60]!r}; this server has {SLUG!r}, and model may be left out"
        raise Problem("not_found", text, extra={"param": "model", "code": "model_not_found"})
    edit = {"prompt": given["prompt"], "input_image": image} | _edit_fields(given, values)
    return ImagesEdit(edit, seed, values["n"], values["response_format"], values["output_format"])


def aspect_ratio(size: str) -> str | None:
    """The aspect ratio nearest to a ``size`` of WIDTHxHEIGHT or auto; None for what is no such size, or near none."""
    if size == "auto":
        return MATCH_INPUT_IMAGE
    if not (sides := _SIZE.fullmatch(size)):
        return None
    width, height = map(int, sides.groups())
    errors = {
        ratio: aspect_error(width, height, aspect_of(ratio)) for ratio in ASPECT_RATIOS if ratio != MATCH_INPUT_IMAGE
    }
    nearest = min(errors, key=errors.__getitem__)
    return nearest if errors[nearest] <= NEAR_ENOUGH else None


def error(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """The error ``body`` of the contract in OpenAI's shape."""
    code, message = body["code"], _OURS.sub("image", body["error"])
    of_image = code in ("invalid_image", "fetch_failed") or message != body["error"]
    param = body.get("param", "image" if of_image else None)
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    shape = {"message": message, "type": kind, "param": param, "code": _CODES.get(code, code)}
    return {"error": shape | {name: body[name] for name in ("request_id", "moderation") if name in body}}


def _from_text(name: str, text: str) -> Any:
    if name in ONLY or (name in _TABLE and _TABLE[name].type != "string"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _edit_fields(given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "aspect_ratio": aspect_ratio(values["size"]),
        "guidance": values["guidance"],
        "num_inference_steps": given.get("num_inference_steps", QUALITIES[values["quality"]]),
        "output_format": OUTPUT_FORMATS[values["output_format"]],
        "output_quality": values["output_compression"],
    }


def _fault(name: str, value: Any) -> _Fault | None:
    if name in IMAGES or name in IGNORED:
        return None
    if name in REFUSED:
        return name, f"{name} is not supported: {REFUSED[name]}"
    if name in ONLY:
        expected, why = ONLY[name]
        # False == 0 to Python, not to JSON.
        same = type(value) is type(expected) and value == expected
        return None if same else (name, f"{name} must be {json.dumps(expected)} or left out: {why}")
    if name not in _TABLE:
        return name, _unknown(name)
    problem = _TABLE[name].problem(value)
    if not problem and name == "size" and aspect_ratio(value) is None:
        problem = f"size must be auto or WIDTHxHEIGHT from about 9:21 to 21:9, as 1536x1024; got {value[:60]!r}"
    return (name, problem) if problem else None


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, _KNOWN, n=1)
    hint = f": did you mean {close[0]}?" if close else f"; known are {', '.join((*IMAGES, *_TABLE))}"
    return f"{name[:60]!r} is not a parameter{hint}"


def _image(given: Mapping[str, Any]) -> str | None:
    """The one picture's address, or None."""
    named = [given[name] for name in IMAGES if name in given]
    pictures = [each for value in named for each in (value if isinstance(value, list) else [value])]
    if len(pictures) != 1:
        return None
    picture = pictures[0].get("image_url") if isinstance(pictures[0], dict) else pictures[0]
    return picture if isinstance(picture, str) else None


def _seed(given: Mapping[str, Any]) -> int | None:
    seed = given.get("seed")
    return None if seed in (None, "", -1) else seed


def _problem(faults: list[_Fault]) -> Problem:
    names = {name for name, _ in faults}
    # As a client may have sent it, a name needn't be text that can be sent back.
    param = {"param": names.pop()[:60].encode("utf-8", "replace").decode()} if len(names) == 1 else {}
    return Problem("invalid_parameter", "; ".join(text for _, text in faults), extra=param)

"""The parameters of an edit: one declarative table, from which validation, OpenAPI, forms and docs are made."""

import difflib
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from .errors import InvalidParameters

MATCH_INPUT_IMAGE: Final = "match_input_image"
ASPECT_RATIOS: Final = (
    "1:1",
    "16:9",
    "21:9",
    "3:2",
    "2:3",
    "4:5",
    "5:4",
    "3:4",
    "4:3",
    "9:16",
    "9:21",
    MATCH_INPUT_IMAGE,
)
SEED_MAX: Final = 2**63 - 1
SLUG: Final = "flux-kontext-dev"
EXAMPLE_PROMPT: Final = "Replace the background with a bokeh light effect, keep the subject unchanged"

_JSON_TYPES = {"string": str, "number": (int, float), "integer": int, "boolean": bool}
_REQUIRED: Any = object()
# As JSON writes numbers, so that a form takes what JSON takes; Python's int() also takes "1_0" and "١".
_INTEGER = re.compile(r"-?[0-9]{1,100}")
_DECIMAL = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Parameter:
    """A parameter's name, type (as JSON Schema calls it), default, bounds and help."""

    name: str
    type: str
    help: str
    default: Any = _REQUIRED
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    max_length: int | None = None
    # Values that mean "choose one for me"; only the seed has them.
    blanks: tuple[Any, ...] = ()

    @property
    def required(self) -> bool:
        """Whether a request must name it."""
        return self.default is _REQUIRED

    @property
    def allowed(self) -> str:
        """What is allowed, as the end of the sentence "… must be"."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.type == "boolean":
            return "true or false"
        if self.type == "string":
            return f"a string of 1 to {self.max_length:,} characters, not blank" if self.max_length else "a string"
        kind = "an integer" if self.type == "integer" else "a number"
        top = "2^63-1" if self.maximum == SEED_MAX else str(self.maximum)
        return f"{kind} from {self.minimum} to {top}"

    def problem(self, value: Any) -> str | None:
        """What is wrong with ``value``, a sentence that names the parameter, or None."""
        if self.blanks and _is_blank(value, self.blanks):
            return None
        if not self._has_type(value) or not self._in_bounds(value):
            return f"{self.name} must be {self.allowed}; got {_shown(value)}"
        return _text_problem(self.name, value) if isinstance(value, str) else None

    def _has_type(self, value: Any) -> bool:
        # bool is an int to Python, not to JSON.
        if isinstance(value, bool) and self.type != "boolean":
            return False
        return isinstance(value, _JSON_TYPES[self.type])  # type: ignore[arg-type]  # the table's values are types

    def _in_bounds(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if self.type == "string":
            return bool(value.strip()) and len(value) <= (self.max_length or len(value))
        if self.minimum is not None and self.maximum is not None:
            return bool(self.minimum <= value <= self.maximum)
        return True


PARAMETERS: Final = (
    Parameter(
        "input_image",
        "string",
        "The picture to edit: an http(s) URL, a data: URI, or a URL this server gave out; "
        "jpeg, png, gif or webp, sides up to 4:1.",
    ),
    Parameter("prompt", "string", "What to change or generate.", max_length=10_000),
    Parameter("aspect_ratio", "string", "Shape of the output.", MATCH_INPUT_IMAGE, choices=ASPECT_RATIOS),
    Parameter("guidance", "number", "How closely to follow the prompt.", 7, minimum=0, maximum=10),
    Parameter(
        "num_inference_steps", "integer", "Denoising steps: more is slower and finer.", 35, minimum=4, maximum=50
    ),
    Parameter(
        "seed",
        "integer",
        'The same seed gives the same picture; null, "" or -1 draws a random one, which the result reports.',
        42,
        minimum=0,
        maximum=SEED_MAX,
        blanks=(None, "", -1),
    ),
    Parameter("output_format", "string", "File format of the output.", "png", choices=("webp", "jpg", "png")),
    Parameter("output_quality", "integer", "Quality of webp and jpg.", 90, minimum=0, maximum=100),
    Parameter("disable_safety_checker", "boolean", "Skip moderation, except of minors; not every key may.", False),
)
BY_NAME: Final = {parameter.name: parameter for parameter in PARAMETERS}
DEFAULTS: Final = {parameter.name: parameter.default for parameter in PARAMETERS if not parameter.required}
RESERVED: Final = ("num_outputs", "mode", "loras")


@dataclass(frozen=True)
class EditParameters:
    """The parameters of one edit, checked; the input image travels apart."""

    prompt: str
    aspect_ratio: str = MATCH_INPUT_IMAGE
    guidance: float = 7
    num_inference_steps: int = 35
    seed: int = 42
    output_format: str = "png"
    output_quality: int = 90
    disable_safety_checker: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values by name, as stored."""
        return asdict(self)


def parse(fields: Mapping[str, Any]) -> tuple[EditParameters, str]:
    """Check a request's fields as JSON gave them; returns the parameters and the input image.

    A blank seed is drawn here, once, so that every attempt at the job uses the same.
    Raises `InvalidParameters` with a sentence for everything that is wrong.
    """
    problems = [_unknown(name) for name in fields if name not in BY_NAME]
    values: dict[str, Any] = {}
    for parameter in PARAMETERS:
        if parameter.name not in fields:
            if parameter.required:
                problems.append(f"{parameter.name} is missing: {parameter.help[0].lower()}{parameter.help[1:]}")
            continue
        value = values[parameter.name] = fields[parameter.name]
        problems += filter(None, [parameter.problem(value)])
    if problems:
        raise InvalidParameters(problems)
    if _is_blank(values.get("seed", 0), BY_NAME["seed"].blanks):
        values["seed"] = secrets.randbelow(SEED_MAX + 1)
    input_image = values.pop("input_image")
    return EditParameters(**values), input_image


def from_form(fields: Mapping[str, str]) -> dict[str, Any]:
    """Turn a form's texts into the JSON values they stand for; what doesn't parse stays text, for `parse` to refuse."""
    return {name: _from_text(BY_NAME[name], text) if name in BY_NAME else text for name, text in fields.items()}


def _from_text(parameter: Parameter, text: str) -> Any:
    if parameter.type == "boolean":
        return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower(), text)
    if parameter.type in ("integer", "number") and _INTEGER.fullmatch(text):
        return int(text)
    if parameter.type == "number" and _DECIMAL.fullmatch(text):
        return float(text)
    return text


def _is_blank(value: Any, blanks: tuple[Any, ...]) -> bool:
    # True == 1 to Python, so compare types too.
    return any(type(value) is type(blank) and value == blank for blank in blanks)


def _text_problem(name: str, value: str) -> str | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"{name} has characters that are not valid Unicode (a lone surrogate)"
    return f"{name} has a NUL character" if "\0" in value else None


def _unknown(name: str) -> str:
    if name in RESERVED:
        return f"{name} is reserved and not supported yet: leave it out"
    close = difflib.get_close_matches(str(name), BY_NAME, n=1)
    hint = f": did you mean {close[0]}?" if close else f"; known are {', '.join(BY_NAME)}"
    return f"{_shown(name)} is not a parameter{hint}"


def _shown(value: Any) -> str:
    text = repr(value)
    text = text if len(text) <= 60 else text[:57] + "…"
    return text.encode("utf-8", "replace").decode()

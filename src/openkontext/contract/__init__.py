"""What a request is: parameters, states, errors and wire shapes. Standard library only; everything else imports it."""

from .errors import CODES, InvalidParameters, Problem
from .parameters import (
    ASPECT_RATIOS,
    DEFAULTS,
    EXAMPLE_PROMPT,
    MATCH_INPUT_IMAGE,
    PARAMETERS,
    SEED_MAX,
    SLUG,
    EditParameters,
    Parameter,
    from_form,
    parse,
)
from .states import State

__all__ = [
    "ASPECT_RATIOS",
    "CODES",
    "DEFAULTS",
    "EXAMPLE_PROMPT",
    "MATCH_INPUT_IMAGE",
    "PARAMETERS",
    "SEED_MAX",
    "SLUG",
    "EditParameters",
    "InvalidParameters",
    "Parameter",
    "Problem",
    "State",
    "from_form",
    "parse",
]

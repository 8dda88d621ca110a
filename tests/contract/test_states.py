"""States and error codes."""

import pytest

from openkontext.contract import CODES, Problem, State


def test_which_states_have_ended():
    """Two states are final."""
    assert {State.COMPLETED, State.FAILED} == {state for state in State if state.ended}


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_phrase(state):
    """The docs and pages print them."""
    assert state.phrase


@pytest.mark.parametrize("code", CODES)
def test_every_problem_answers_with_its_status_and_code(code):
    """One shape for all errors."""
    problem = Problem(code, "what and how", extra={"request_id": "x"})
    assert CODES[code][0] == problem.status
    assert {"error": "what and how", "code": code, "request_id": "x"} == problem.body()

"""Credits as whole micro-credits."""

from decimal import Decimal

import pytest

from openkontext.contract import money


@pytest.mark.parametrize(
    ("credits", "micros"),
    [("0.04", 40_000), ("1000", 1_000_000_000), ("0.0000005", 0), ("0.0000015", 2), (3, 3_000_000)],
)
def test_credits_to_micros(credits, micros):
    """Exact; below a micro-credit it rounds half to even."""
    assert micros == money.to_micros(credits)


@pytest.mark.parametrize(
    ("micros", "text"), [(999_960_000, "999.96"), (0, "0"), (1_000_000_000, "1000"), (1, "0.000001")]
)
def test_spoken_amounts_have_no_exponent(micros, text):
    """People read plain decimals."""
    assert text == money.spoken(micros)


def test_amounts_come_back():
    """Micros to credits and back is the identity."""
    assert 123_456_789 == money.to_micros(money.to_credits(123_456_789))
    assert Decimal("0.04") == money.to_credits(40_000)
    assert 0.04 == money.wire(40_000)

"""Credits are counted in whole micro-credits: exact, and the same in every database."""

from decimal import ROUND_HALF_EVEN, Decimal

MICROS = 1_000_000


def to_micros(credits: Decimal | int | str) -> int:
    """Micro-credits of an amount in credits; a fraction below one micro-credit is rounded half to even."""
    return int((Decimal(credits) * MICROS).to_integral_value(ROUND_HALF_EVEN))


def to_credits(micros: int) -> Decimal:
    """The exact amount in credits."""
    return Decimal(micros) / MICROS


def wire(micros: int) -> float:
    """The amount in credits as the JSON number that the wire carries."""
    return float(to_credits(micros))


def spoken(micros: int) -> str:
    """The amount in credits for a sentence: plain decimals, no exponent, no trailing zeros."""
    return f"{to_credits(micros).normalize():f}"

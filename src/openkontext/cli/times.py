"""Durations and times as people write them on a command line, and as tables show them."""

import re
from datetime import UTC, datetime

_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"([1-9][0-9]{0,3})([wdhms])")


def duration(text: str) -> int:
    """Seconds of ``90s``, ``30m``, ``12h``, ``30d`` or ``2w``; raises ValueError for anything else."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(f"must be a duration such as 90s, 30m, 12h, 30d or 2w, not {text!r}")
    return int(found[1]) * _UNITS[found[2]]


def moment(text: str, now: float) -> float:
    """Unix seconds of a time after ``now``: a duration from then, or a date and perhaps time in ISO 8601.

    It is UTC unless it names an offset. Raises ValueError for anything else.
    """
    then = now + duration(text) if _DURATION.fullmatch(text) else _iso(text)
    if then <= now:
        raise ValueError(f"{text} is over already")
    return then


def _iso(text: str) -> float:
    try:
        then = datetime.fromisoformat(text)
        return (then if then.tzinfo else then.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        form = "a duration such as 12h or 30d, or a time such as 2027-01-31 or 2027-01-31T12:00Z"
        raise ValueError(f"must be {form}, not {text!r}") from None


def shown_duration(seconds: float) -> str:
    """The shortest way to write it that is exact to the second."""
    whole = round(seconds)
    size, unit = next((size, unit) for unit, size in _UNITS.items() if whole % size == 0)
    return f"{whole // size}{unit}"


def shown_time(seconds: float | None) -> str:
    """To the second, UTC; ``-`` for none."""
    return "-" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def iso(seconds: float | None) -> str | None:
    """To the second, UTC, in ISO 8601; None for none."""
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"

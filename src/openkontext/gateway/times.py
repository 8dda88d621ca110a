"""Days and times, as clients write them and as they are answered: ISO 8601, in UTC unless it says otherwise."""

from datetime import UTC, date, datetime, time

DAY = 86_400
_WHEN = "a date (2026-11-22) or a time (2026-11-22T07:00:00Z), in UTC unless it says otherwise"


def iso(timestamp: float) -> str:
    """A unix time to the millisecond: ``2026-11-22T07:00:00.000Z``."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(timestamp: float | None) -> str | None:
    """The same, for what may not have happened."""
    return None if timestamp is None else iso(timestamp)


def day(name: str, text: str) -> date:
    """The day that the parameter ``name`` names. Raises ValueError, a sentence for the client."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} must be a date (2026-11-22), UTC; got {text[:40]!r}") from None


def span(name: str, text: str) -> tuple[float, float]:
    """The beginning and end of a day, in unix seconds; of a time, that twice. Raises ValueError as `day` does."""
    try:
        begin = datetime.combine(date.fromisoformat(text), time(), UTC).timestamp()
    except ValueError:
        moment = _moment(name, text)
        return moment, moment
    return begin, begin + DAY


def _moment(name: str, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} must be {_WHEN}; got {text[:40]!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

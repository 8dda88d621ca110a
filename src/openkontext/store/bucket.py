"""The token bucket of a key: ``rpm`` submits at once, refilled at ``rpm`` a minute."""

from dataclasses import dataclass
from typing import Self

from .errors import RateLimited

# Unix seconds in a double are good to a quarter of a microsecond: a token due at this very moment must count.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Bucket:
    """``tokens`` left at ``now`` of a limit of ``rpm``; an ``rpm`` of None is no limit."""

    rpm: int | None
    tokens: float
    now: float

    @classmethod
    def refilled(cls, rpm: int | None, tokens: float, tokens_at: float, now: float) -> Self:
        """The bucket that held ``tokens`` at ``tokens_at``, as it is now; a clock set back takes nothing away."""
        gained = max(now - tokens_at, 0.0) * (rpm or 0) / 60
        return cls(rpm, min(tokens + gained, float(rpm or 0)), now)

    def spend(self) -> Self:
        """The bucket after one more submit; raises RateLimited, with the time of the next token, if there is none."""
        if self.rpm is None:
            return self
        if self.tokens < 1 - _ROUNDING:
            raise RateLimited(self.rpm, 0, self.now + (1 - self.tokens) * 60 / self.rpm)
        return type(self)(self.rpm, max(self.tokens - 1, 0.0), self.now)

    @property
    def remaining(self) -> int | None:
        """Whole submits left now."""
        return None if self.rpm is None else int(self.tokens + _ROUNDING)

    @property
    def reset_at(self) -> float:
        """When the bucket is full again."""
        return self.now if self.rpm is None else self.now + (self.rpm - self.tokens) * 60 / self.rpm

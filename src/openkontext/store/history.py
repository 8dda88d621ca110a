"""What was asked for, by whom, and what it came to: from the slim rows that outlive results."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from openkontext.contract import State

from .database import Database, Row
from .jobs import COLUMNS
from .lookup import Lookup
from .records import HistoryEntry, HistoryPage, Job, UsageRow
from .schema import accounts, jobs, keys, payloads, results

_DAY = 86400
_EPOCH = date(1970, 1, 1).toordinal()

# Keeps: what is past its retention can't be seen, whether or not `expire` came by yet.
_LIVES = sa.or_(jobs.c.expires_at.is_(None), jobs.c.expires_at > sa.bindparam("now"))
_ENTRIES = (
    sa.select(
        *COLUMNS,
        payloads.c.parameters,
        sa.case((_LIVES, payloads.c.input)).label("input"),
        sa.case((_LIVES, results.c.body)).label("body"),
        keys.c.hint,
    )
    .join_from(jobs, payloads)
    .join(keys, keys.c.id == jobs.c.key_id)
    .outerjoin(results)
)
_ENTRY = _ENTRIES.where(jobs.c.id == sa.bindparam("job"), jobs.c.account_id == sa.bindparam("account"))
_NEWEST = (jobs.c.created_at.desc(), jobs.c.id.desc())
_ASKED = jobs.join(payloads)
_SOURCE = sa.select(payloads.c.input).where(payloads.c.job_id == sa.bindparam("job"))

_COMPLETED = jobs.c.state == State.COMPLETED
# Unix time has no leap seconds: its days are all of one length, and begin at midnight, UTC.
_ON = (jobs.c.created_at // sa.literal_column(str(_DAY))).label("day")
_USAGE = (
    sa.select(
        _ON,
        accounts.c.name,
        keys.c.hint,
        keys.c.label,
        sa.func.count().label("requests"),
        sa.func.count().filter(_COMPLETED).label("completed"),
        sa.func.count().filter(jobs.c.state == State.FAILED).label("failed"),
        sa.cast(sa.func.coalesce(sa.func.sum(jobs.c.price).filter(_COMPLETED), 0), sa.BigInteger).label("cost"),
        sa.func.coalesce(sa.func.sum(jobs.c.inference_time), 0.0).label("gpu_seconds"),
    )
    .join_from(jobs, accounts)
    .join(keys, keys.c.id == jobs.c.key_id)
    .group_by(_ON, accounts.c.name, keys.c.id, keys.c.hint, keys.c.label)
    .order_by(_ON, accounts.c.name, keys.c.id)
)
# Grouped by what ends there are: a few rows a day, however many the jobs.
_DAILY = (
    sa.select(
        _ON,
        jobs.c.state,
        jobs.c.code,
        sa.func.count().label("requests"),
        sa.cast(sa.func.coalesce(sa.func.sum(jobs.c.price).filter(_COMPLETED), 0), sa.BigInteger).label("cost"),
        sa.func.coalesce(sa.func.sum(jobs.c.inference_time), 0.0).label("gpu_seconds"),
    )
    .where(jobs.c.account_id == sa.bindparam("account"))
    .where(jobs.c.created_at >= sa.bindparam("since"), jobs.c.created_at < sa.bindparam("until"))
    .group_by(_ON, jobs.c.state, jobs.c.code)
)


@dataclass(frozen=True)
class DayUsage:
    """What an account's requests of one UTC ``day`` (of the submit) came to; ``failures`` counts them by their code.

    ``cost`` is of those that were COMPLETED; ``gpu_seconds`` is the inference time of all.
    """

    day: date
    requests: int
    completed: int
    failed: int
    cost: int
    gpu_seconds: float
    failures: dict[str, int]


class History(Database):
    """Looking back."""

    def history(
        self,
        account_id: int,
        *,
        page: int = 1,
        per_page: int = 20,
        states: Collection[State] = (),
        codes: Collection[str] = (),
        parent_id: str | None = None,
        words: Collection[str] = (),
        since: float | None = None,
        until: float | None = None,
    ) -> HistoryPage:
        """A page (from 1) of the account's jobs, newest first, those expired and erased too.

        Only those in one of ``states``, FAILED by one of ``codes``, that descend from ``parent_id`` at once, with all
        of ``words`` in their prompt (in any case, parts of words too), submitted from ``since`` on and before
        ``until``: of each, if it is given.
        """
        chosen = [jobs.c.account_id == account_id, *_between(since, until), *(_says(word) for word in words)]
        chosen += [jobs.c.state.in_(states)] if states else []
        chosen += [jobs.c.code.in_(codes)] if codes else []
        chosen += [jobs.c.parent_id == parent_id] if parent_id is not None else []
        asked = _ASKED if words else jobs
        total = sa.select(sa.func.count()).select_from(asked).where(*chosen)
        # By id first: of what is passed over, nothing else is read.
        ids = sa.select(jobs.c.id).select_from(asked).where(*chosen).order_by(*_NEWEST)
        ids = ids.limit(per_page).offset((page - 1) * per_page)
        entries = _ENTRIES.where(jobs.c.id.in_(ids)).order_by(*_NEWEST)
        with self._snapshot() as connection:
            found = connection.execute(total).scalar_one()
            rows = connection.execute(entries, {"now": self.clock()}).all()
        return HistoryPage([_entry(row) for row in rows], found)

    def entry(self, job_id: str, account_id: int) -> HistoryEntry | None:
        """The account's job as its history has it, expired and erased ones too; None for any other."""
        values = {"job": job_id, "account": account_id, "now": self.clock()}
        with self._read() as connection:
            row = connection.execute(_ENTRY, values).first()
        return _entry(row) if row else None

    def source(self, job_id: str) -> dict[str, Any] | None:
        """Where a job's picture is, as it was submitted; None once it was erased, and for an unknown one."""
        with self._clear_errors():
            row = self._source.first({"job": job_id})
        return _json(row[0]) if row else None

    @cached_property
    def _source(self) -> Lookup:
        return Lookup(_SOURCE, self._reader)

    def usage(
        self, *, account_id: int | None = None, since: float | None = None, until: float | None = None
    ) -> list[UsageRow]:
        """What each key's requests came to on each UTC day of their submit, of one account or of all; oldest first.

        It goes back as far as the history does.
        """
        chosen = _between(since, until) + ([] if account_id is None else [jobs.c.account_id == account_id])
        with self._read() as connection:
            rows = connection.execute(_USAGE.where(*chosen)).all()
        return [UsageRow(_date(row.day).isoformat(), *row[1:]) for row in rows]

    def daily_usage(self, account_id: int, first: date, last: date) -> list[DayUsage]:
        """What the account's requests of each UTC day from ``first`` to ``last`` came to, days without any too.

        It goes back as far as the history does.
        """
        days = range(first.toordinal() - _EPOCH, last.toordinal() - _EPOCH + 1)
        span = {"account": account_id, "since": float(days.start * _DAY), "until": float(days.stop * _DAY)}
        by_day: defaultdict[int, list[Row]] = defaultdict(list)
        with self._read() as connection:
            for row in connection.execute(_DAILY, span):
                by_day[int(row.day)].append(row)
        return [_day_usage(day, by_day[day]) for day in days]


def _between(since: float | None, until: float | None) -> list[sa.ColumnElement[bool]]:
    after = [] if since is None else [jobs.c.created_at >= since]
    return after + ([] if until is None else [jobs.c.created_at < until])


def _says(word: str) -> sa.ColumnElement[bool]:
    """Whether a job's prompt has ``word`` in it."""
    # The prompt is looked for where `dump` wrote it, as it wrote it: what is beyond ASCII as escapes, whose case no
    # database knows. It ends at the first quote without a backslash, and the name behind that is always the same.
    spellings = {json.dumps(each)[1:-1].lower() for each in (word, word.lower(), word.upper(), word.capitalize())}
    patterns = (f'{{"prompt":"%{_literally(each)}%","aspect/_ratio":%' for each in sorted(spellings))
    return sa.or_(*(payloads.c.parameters.ilike(pattern, escape="/") for pattern in patterns))


def _literally(text: str) -> str:
    for special in "/%_":
        text = text.replace(special, f"/{special}")
    return text


def _entry(row: Row) -> HistoryEntry:
    *job, parameters, source, body, hint = row
    return HistoryEntry(Job(*job), json.loads(parameters), _json(source), _json(body), hint)


def _json(text: str | None) -> dict[str, Any] | None:
    return json.loads(text) if text else None


def _date(day: float) -> date:
    return date.fromordinal(int(day) + _EPOCH)


def _day_usage(day: int, ends: Sequence[Row]) -> DayUsage:
    failed = [row for row in ends if row.state is State.FAILED]
    return DayUsage(
        day=_date(day),
        requests=sum(row.requests for row in ends),
        completed=sum(row.requests for row in ends if row.state is State.COMPLETED),
        failed=sum(row.requests for row in failed),
        cost=sum(row.cost for row in ends),
        gpu_seconds=sum(row.gpu_seconds for row in ends),
        failures={row.code: row.requests for row in failed if row.code},
    )

"""The tables. Money is in whole micro-credits, times are unix seconds (UTC) as doubles.

`jobs` is the hot row and stays narrow: what a job carries in and out lies in `payloads` and `results`. Any change here
needs a revision in ``migrations/versions``; a test holds the two against each other.
"""

from typing import Any

import sqlalchemy as sa

from openkontext.contract import State

metadata = sa.MetaData()

# SQLite numbers rows by itself only for a column of exactly this type.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATE = sa.Enum(State, native_enum=False, length=16)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", SERIAL, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("balance", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.CheckConstraint("balance >= 0", name="accounts_never_overdrawn"),
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", SERIAL, primary_key=True),
    sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("hint", sa.String(4), nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("rpm", sa.Integer),
    sa.Column("tokens", sa.Double, nullable=False),
    sa.Column("tokens_at", sa.Double, nullable=False),
    # The tag that the key's next job gets, unless the queue is further already.
    sa.Column("virtual_time", sa.Double, nullable=False),
    # The highest claimed tag of the key; the highest of all keys is where the queue is.
    sa.Column("served_time", sa.Double, nullable=False),
    sa.Column("may_disable_safety", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double),
    sa.Column("revoked_at", sa.Double),
    sa.Index("keys_account", "account_id"),
    sa.Index("keys_served", "served_time"),
)

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("id", SERIAL, primary_key=True),
    sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
    # No foreign key: the books outlive the job's row.
    sa.Column("job_id", sa.String(36)),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("ledger_account", "account_id"),
    # Whatever else goes wrong, no job is charged, or paid back, twice.
    sa.Index("ledger_held_once", "job_id", unique=True, **_where("kind = 'hold'")),
    sa.Index("ledger_settled_once", "job_id", unique=True, **_where("kind IN ('take', 'release')")),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("key_id", SERIAL, sa.ForeignKey("keys.id"), nullable=False),
    sa.Column("state", STATE, nullable=False),
    # Grows with every claim and is never reused: it is what fences a zombie.
    sa.Column("attempt", sa.Integer, nullable=False),
    # The claims that count towards the limit: one given back by a draining worker doesn't.
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("worker", sa.Text),
    sa.Column("lease_until", sa.Double),
    sa.Column("tag", sa.Double, nullable=False),
    sa.Column("price", sa.BigInteger, nullable=False),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("steps", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("ended_at", sa.Double),
    sa.Column("expires_at", sa.Double),
    # Result and pictures are gone, by retention or on demand.
    sa.Column("erased", sa.Boolean, nullable=False),
    # Claims, reaping and the queue's depth read this alone: it holds only what has not ended.
    sa.Index("jobs_active", "tag", "created_at", "state", **_where("ended_at IS NULL")),
    sa.Index("jobs_expiry", "erased", "expires_at"),
)

payloads = sa.Table(
    "payloads",
    metadata,
    sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("parameters", sa.Text, nullable=False),
    # Gone, once the pictures are.
    sa.Column("input", sa.Text),
)

results = sa.Table(
    "results",
    metadata,
    sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

# Blobs whose records are gone: written with the removal, forgotten once the files are deleted.
doomed_blobs = sa.Table("doomed_blobs", metadata, sa.Column("key", sa.Text, primary_key=True))

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text),
    sa.Column("pid", sa.Integer),
    sa.Column("device", sa.Text),
    sa.Column("checkpoint", sa.Text),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("message", sa.Text),
    sa.Column("job_id", sa.String(36)),
    sa.Column("seen_at", sa.Double, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
)

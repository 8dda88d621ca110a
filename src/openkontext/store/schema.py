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
    # Signs the webhooks that requests name themselves; made when first asked for.
    sa.Column("webhook_secret", sa.Text),
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
    sa.Column("may_edit", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("may_read_history", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("may_manage", sa.Boolean, nullable=False, server_default=sa.true()),
    # Jobs at once, and jobs waiting; null is no limit.
    sa.Column("max_running", sa.Integer),
    sa.Column("max_queued", sa.Integer, server_default="100"),
    # Seconds that results live; null is the service's setting, 0 is "delivered once, then erased".
    sa.Column("retention", sa.Double),
    sa.Column("prompt_in_file", sa.Boolean, nullable=False, server_default=sa.true()),
    # Watch the service and drain its workers: no account's business, so that it is given to few.
    sa.Column("may_operate", sa.Boolean, nullable=False, server_default=sa.false()),
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
    # The job whose output is this one's input, where that was the same account's.
    sa.Column("parent_id", sa.String(36)),
    # The key's retention at the time of the submit, see `keys`.
    sa.Column("retention", sa.Double),
    # Kept past its retention, because its owner asked for that.
    sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),
    # For the history, which outlives results: why it failed, and the seconds that the model took.
    sa.Column("code", sa.Text),
    sa.Column("inference_time", sa.Double),
    # Where to post the result, and the address under which its client knows the server.
    sa.Column("webhook", sa.Text),
    sa.Column("base_url", sa.Text),
    # Claims, reaping and the queue's depth read this alone: it holds only what has not ended.
    sa.Index("jobs_active", "tag", "created_at", "state", **_where("ended_at IS NULL")),
    sa.Index("jobs_expiry", "erased", "expires_at"),
    sa.Index("jobs_history", "account_id", "created_at"),
    # What a submit counts of its key, and of all.
    sa.Index("jobs_standing", "state", "key_id", **_where("ended_at IS NULL")),
    # What operators see of the last day: counts and times read this alone.
    sa.Index("jobs_ended", "state", "ended_at", "code", "created_at", "started_at", **_where("ended_at IS NOT NULL")),
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

# The newest preview of a running job: a data URI.
previews = sa.Table(
    "previews",
    metadata,
    sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("image", sa.Text, nullable=False),
)

# What an Idempotency-Key was used for; remembered for a day.
replays = sa.Table(
    "replays",
    metadata,
    sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("idempotency_key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    # No foreign key: the job's row may go before the day is over, and is then said to be gone.
    sa.Column("job_id", sa.String(36), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("replays_created", "created_at"),
)

# Measured times, moving averages, by checkpoint and output size: what estimates are made of.
timings = sa.Table(
    "timings",
    metadata,
    sa.Column("checkpoint", sa.Text, primary_key=True),
    sa.Column("width", sa.Integer, primary_key=True),
    sa.Column("height", sa.Integer, primary_key=True),
    sa.Column("step_seconds", sa.Double, nullable=False),
    # Everything of an edit that is not steps: fetching, encoding, decoding, checking, storing.
    sa.Column("other_seconds", sa.Double, nullable=False),
    sa.Column("samples", sa.Integer, nullable=False),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("blob", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Index("uploads_expiry", "expires_at"),
)

# An account's subscribers.
endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    # Comma-separated event types.
    sa.Column("types", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("endpoints_account", "account_id"),
)

# What happened, in order: written by the transaction that ends the job.
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", SERIAL, primary_key=True),
    sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("job_id", sa.String(36), nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    # The job's result as stored, and what its body needs beside it; null once it was erased.
    sa.Column("body", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("events_account", "account_id", "id"),
    sa.Index("events_job", "job_id"),
    sa.Index("events_created", "created_at"),
)

# The outbox: an event on its way to one receiver. Leased while it is tried, as jobs are.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("event_id", SERIAL, sa.ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
    # Null: the URL that the request itself named.
    sa.Column("endpoint_id", sa.String(36)),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    # When it is due; while it is being tried, when its lease ends. Null once it is over.
    sa.Column("due_at", sa.Double),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("last_at", sa.Double),
    # The receiver's answer: an HTTP status, or null with the reason there was none.
    sa.Column("last_status", sa.Integer),
    sa.Column("last_error", sa.Text),
    sa.Index("deliveries_due", "due_at", **_where("due_at IS NOT NULL")),
    sa.Index("deliveries_account", "account_id", "created_at"),
    sa.Index("deliveries_event", "event_id"),
)

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
    # Pixels of the largest output of its checkpoint.
    sa.Column("max_area", sa.BigInteger),
    # What an operator wants of it: to end its edit, and take no other.
    sa.Column("drain", sa.Boolean, nullable=False, server_default=sa.false()),
)

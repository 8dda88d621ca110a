"""The first schema: accounts, keys, the ledger, jobs with payloads and results, workers."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From nothing."""
    _accounts()
    _keys()
    _ledger()
    _jobs()
    _payloads_and_results()
    _workers()


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("balance", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.CheckConstraint("balance >= 0", name="accounts_never_overdrawn"),
    )


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("hint", sa.String(4), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("rpm", sa.Integer),
        sa.Column("tokens", sa.Double, nullable=False),
        sa.Column("tokens_at", sa.Double, nullable=False),
        sa.Column("virtual_time", sa.Double, nullable=False),
        sa.Column("served_time", sa.Double, nullable=False),
        sa.Column("may_disable_safety", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
    )
    op.create_index("keys_account", "keys", ["account_id"])
    op.create_index("keys_served", "keys", ["served_time"])


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("job_id", sa.String(36)),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("ledger_account", "ledger", ["account_id"])
    op.create_index("ledger_held_once", "ledger", ["job_id"], unique=True, **_where("kind = 'hold'"))
    settled = _where("kind IN ('take', 'release')")
    op.create_index("ledger_settled_once", "ledger", ["job_id"], unique=True, **settled)


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("key_id", SERIAL, sa.ForeignKey("keys.id"), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
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
        sa.Column("erased", sa.Boolean, nullable=False),
    )
    op.create_index("jobs_active", "jobs", ["tag", "created_at", "state"], **_where("ended_at IS NULL"))
    op.create_index("jobs_expiry", "jobs", ["erased", "expires_at"])


def _payloads_and_results() -> None:
    op.create_table(
        "payloads",
        sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("input", sa.Text),
    )
    op.create_table(
        "results",
        sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table("doomed_blobs", sa.Column("key", sa.Text, primary_key=True))


def _workers() -> None:
    op.create_table(
        "workers",
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

"""What a team needs: permissions and limits of keys, idempotency, history, uploads, webhooks, previews, timings."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From the first schema."""
    _columns()
    _beside_jobs()
    _replays_and_timings()
    _uploads()
    _webhooks()


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _columns() -> None:
    op.add_column("accounts", sa.Column("webhook_secret", sa.Text))
    for name in ("may_edit", "may_read_history", "may_manage"):
        op.add_column("keys", sa.Column(name, sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("keys", sa.Column("max_running", sa.Integer))
    op.add_column("keys", sa.Column("max_queued", sa.Integer, server_default="100"))
    op.add_column("keys", sa.Column("retention", sa.Double))
    op.add_column("keys", sa.Column("prompt_in_file", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("jobs", sa.Column("parent_id", sa.String(36)))
    op.add_column("jobs", sa.Column("retention", sa.Double))
    op.add_column("jobs", sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("code", sa.Text))
    op.add_column("jobs", sa.Column("inference_time", sa.Double))
    op.add_column("jobs", sa.Column("webhook", sa.Text))
    op.add_column("jobs", sa.Column("base_url", sa.Text))
    op.create_index("jobs_history", "jobs", ["account_id", "created_at"])
    op.create_index("jobs_standing", "jobs", ["state", "key_id"], **_where("ended_at IS NULL"))
    op.add_column("workers", sa.Column("max_area", sa.BigInteger))


def _beside_jobs() -> None:
    op.create_table(
        "previews",
        sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
    )


def _replays_and_timings() -> None:
    op.create_table(
        "replays",
        sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("idempotency_key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("replays_created", "replays", ["created_at"])
    op.create_table(
        "timings",
        sa.Column("checkpoint", sa.Text, primary_key=True),
        sa.Column("width", sa.Integer, primary_key=True),
        sa.Column("height", sa.Integer, primary_key=True),
        sa.Column("step_seconds", sa.Double, nullable=False),
        sa.Column("other_seconds", sa.Double, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
    )


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("blob", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("uploads_expiry", "uploads", ["expires_at"])


def _webhooks() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("types", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("endpoints_account", "endpoints", ["account_id"])
    op.create_table(
        "events",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("job_id", sa.String(36), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("events_account", "events", ["account_id", "id"])
    op.create_index("events_job", "events", ["job_id"])
    op.create_index("events_created", "events", ["created_at"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("event_id", SERIAL, sa.ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
        sa.Column("account_id", SERIAL, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("endpoint_id", sa.String(36)),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Double),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("last_at", sa.Double),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_error", sa.Text),
    )
    op.create_index("deliveries_due", "deliveries", ["due_at"], **_where("due_at IS NOT NULL"))
    op.create_index("deliveries_account", "deliveries", ["account_id", "created_at"])
    op.create_index("deliveries_event", "deliveries", ["event_id"])

"""What an operator needs: keys that may watch and drain the workers, the flag that drains one, jobs by their end."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """From the second schema."""
    op.add_column("keys", sa.Column("may_operate", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("workers", sa.Column("drain", sa.Boolean, nullable=False, server_default=sa.false()))
    columns, ended = ["state", "ended_at", "code", "created_at", "started_at"], sa.text("ended_at IS NOT NULL")
    op.create_index("jobs_ended", "jobs", columns, sqlite_where=ended, postgresql_where=ended)

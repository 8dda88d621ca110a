"""Bringing a database's schema up to date with the revisions in `migrations`."""

import sqlalchemy as sa

from .migrations import HEAD

_VERSION = sa.text("SELECT version_num FROM alembic_version")
# Any number will do that nothing else in the database locks: "openkontext" in hexadecimal, cut to 63 bits.
_LOCK = sa.text("SELECT pg_advisory_xact_lock(x'6f70656e6b6f6e74'::bigint)")


def behind(connection: sa.Connection) -> bool:
    """Whether the schema is not of the newest revision."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return True
    return connection.execute(_VERSION).scalar() != HEAD


def upgrade(connection: sa.Connection) -> None:
    """Run what is missing: nothing, if another process was first.

    It runs in the caller's write transaction, which on SQLite is the lock already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)
    # Importing alembic costs a quarter of a second, which a start with an up-to-date schema need not pay.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "openkontext.store:migrations")
    command.upgrade(config, "head")

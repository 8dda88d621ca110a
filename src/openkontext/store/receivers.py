"""Who is told of an account's events: its endpoints, and what signs the events for everyone else."""

import secrets
from base64 import b64encode
from collections.abc import Collection
from dataclasses import fields
from uuid import uuid4

import sqlalchemy as sa

from . import events as happened
from .database import Database, Row
from .records import Endpoint
from .schema import accounts, deliveries, endpoints

MAX_ENDPOINTS = 20

_SECRET = sa.select(accounts.c.webhook_secret).where(accounts.c.id == sa.bindparam("account"))
_LOCK = sa.select(accounts.c.id).where(accounts.c.id == sa.bindparam("account")).with_for_update()
# Keeps: who asks at the same time gets the same secret.
_MAKE_SECRET = (
    sa.update(accounts)
    .where(accounts.c.id == sa.bindparam("account"), accounts.c.webhook_secret.is_(None))
    .values(webhook_secret=sa.bindparam("secret"))
)
_COLUMNS = [endpoints.c[field.name] for field in fields(Endpoint)]
_INSERT = sa.insert(endpoints)
_ALL = (
    sa.select(*_COLUMNS)
    .where(endpoints.c.account_id == sa.bindparam("account"))
    .order_by(endpoints.c.created_at, endpoints.c.id)
)
_DELETE = sa.delete(endpoints).where(
    endpoints.c.id == sa.bindparam("endpoint"), endpoints.c.account_id == sa.bindparam("account")
)
# Keeps: nothing is sent to an address that its owner took away.
_STOP = (
    sa.update(deliveries)
    .where(deliveries.c.endpoint_id == sa.bindparam("endpoint"), deliveries.c.state == "pending")
    .values(state="failed", due_at=None, last_error="the webhook was removed")
    .returning(deliveries.c.event_id)
)


class Receivers(Database):
    """The endpoints of accounts, and secrets to sign with: ``whsec_`` and 24 random bytes in base64."""

    def webhook_secret(self, account_id: int) -> str:
        """What signs the account's events for the URLs that its requests name; made when first asked for."""
        with self._read() as connection:
            found: str | None = connection.execute(_SECRET, {"account": account_id}).scalar_one()
        if found is not None:
            return found
        with self._transaction() as connection:
            return account_secret(connection, account_id)

    def create_endpoint(self, account_id: int, url: str, types: Collection[str]) -> Endpoint:
        """Post the account's events of these ``types`` to ``url`` from now on.

        Raises ValueError if it has as many endpoints as an account may.
        """
        with self._transaction() as connection:
            # Locked, so that of two that come together the second counts the first.
            connection.execute(_LOCK, {"account": account_id})
            if len(connection.execute(_ALL, {"account": account_id}).all()) >= MAX_ENDPOINTS:
                raise ValueError(f"an account may have {MAX_ENDPOINTS} webhooks and has them already; delete one first")
            now = self._now(connection)
            endpoint = Endpoint(str(uuid4()), account_id, url, _new_secret(), tuple(types), now)
            connection.execute(_INSERT, vars(endpoint) | {"types": ",".join(types)})
        return endpoint

    def endpoints(self, account_id: int) -> list[Endpoint]:
        """The account's endpoints, oldest first."""
        with self._read() as connection:
            return [_endpoint(row) for row in connection.execute(_ALL, {"account": account_id})]

    def delete_endpoint(self, account_id: int, endpoint_id: str) -> bool:
        """Post nothing to the endpoint any more; False if the account has no such one."""
        with self._transaction() as connection:
            if connection.execute(_DELETE, {"endpoint": endpoint_id, "account": account_id}).rowcount == 0:
                return False
            for event_id in connection.execute(_STOP, {"endpoint": endpoint_id}).scalars().all():
                happened.settle(connection, event_id)
            return True


def account_secret(connection: sa.Connection, account_id: int) -> str:
    """The account's secret, made in the caller's transaction if there is none."""
    connection.execute(_MAKE_SECRET, {"account": account_id, "secret": _new_secret()})
    secret: str = connection.execute(_SECRET, {"account": account_id}).scalar_one()
    return secret


def _new_secret() -> str:
    return f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"


def _endpoint(row: Row) -> Endpoint:
    return Endpoint(**{**row._mapping, "types": tuple(row.types.split(","))})

"""Pictures that accounts have uploaded, by what is in them."""

import sqlalchemy as sa

from .database import Database
from .records import Upload
from .schema import doomed_blobs, uploads

_COLUMNS = [uploads.c.digest, uploads.c.blob, uploads.c.size, uploads.c.expires_at]

# Keeps: what is in use doesn't expire under its user.
_EXTEND = (
    sa.update(uploads)
    .where(
        uploads.c.account_id == sa.bindparam("account"),
        uploads.c.digest == sa.bindparam("content"),
        uploads.c.expires_at > sa.bindparam("now"),
    )
    .values(expires_at=sa.bindparam("until"))
    .returning(*_COLUMNS)
)
# Keeps: one blob for an account's picture. A row that is there, expired or not, still has its blob.
_ADD = sa.text("""
    INSERT INTO uploads (account_id, digest, blob, size, created_at, expires_at)
    VALUES (:account, :digest, :blob, :size, :now, :until)
    ON CONFLICT (account_id, digest) DO UPDATE SET expires_at = excluded.expires_at
    RETURNING digest, blob, size, expires_at
""")
_DOOM = sa.insert(doomed_blobs)


class Uploads(Database):
    """What an account needn't send again."""

    def upload(self, account_id: int, digest: str) -> Upload | None:
        """The account's upload of this content, which is kept for another while; None if there is none any more."""
        with self._transaction() as connection:
            now = self._now(connection)
            values = {"account": account_id, "content": digest, "now": now, "until": now + self.settings.upload_seconds}
            row = connection.execute(_EXTEND, values).first()
        return Upload(*row) if row else None

    def add_upload(self, account_id: int, digest: str, blob: str, size: int) -> Upload:
        """Note that ``blob``, a name that was never used before, holds ``size`` bytes of this content.

        If the account had uploaded the same before, that upload is returned, kept for another while, and ``blob`` is
        among those that `expire` hands out for deletion.
        """
        with self._transaction() as connection:
            now = self._now(connection)
            values = {"account": account_id, "digest": digest, "blob": blob, "size": size}
            values |= {"now": now, "until": now + self.settings.upload_seconds}
            upload = Upload(*connection.execute(_ADD, values).one())
            if upload.blob != blob:
                connection.execute(_DOOM, {"key": blob})
        return upload

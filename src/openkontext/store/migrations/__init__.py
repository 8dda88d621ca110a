"""The schema's history: one revision a file in ``versions``, run by Alembic."""

HEAD = "0003"

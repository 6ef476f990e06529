"""The store's migrations (Alembic); one file per revision in `versions/`, named `<revision>_<what>.py`."""

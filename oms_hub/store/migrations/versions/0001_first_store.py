"""The first store: schemas `hub` and `reports`, and the ledger's guard, as `0001_foundation.sql` says."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = Path(__file__).with_name("0001_foundation.sql")


def upgrade() -> None:
    """Create everything; the statements are those of the release, whatever the program defines today."""
    op.get_bind().exec_driver_sql(_STATEMENTS.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    """Refuse: the store only goes forward; restore a backup instead."""
    raise RuntimeError("The store only goes forward: restore a backup instead")

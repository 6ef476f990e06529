"""The analysts' further tables, purchase costs, receipts and exchange rates; the statements are in `0004_reports.sql`."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STATEMENTS = Path(__file__).with_name("0004_reports.sql")


def upgrade() -> None:
    """Apply the statements of the release, whatever the program defines today."""
    op.get_bind().exec_driver_sql(_STATEMENTS.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    """Refuse: the store only goes forward; restore a backup instead."""
    raise RuntimeError("The store only goes forward: restore a backup instead")

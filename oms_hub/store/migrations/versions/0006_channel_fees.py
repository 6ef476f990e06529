"""What channels charge the seller for orders, and the margin that knows it; statements in `0006_channel_fees.sql`."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STATEMENTS = Path(__file__).with_name("0006_channel_fees.sql")


def upgrade() -> None:
    """Apply the statements of the release, whatever the program defines today."""
    op.get_bind().exec_driver_sql(_STATEMENTS.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    """Refuse: the store only goes forward; restore a backup instead."""
    raise RuntimeError("The store only goes forward: restore a backup instead")

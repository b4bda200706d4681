"""Whether quotas take back what others borrow, and of an attempt that makes room for such a reason, whose quota it is."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# table, column, type, and what rows have in it that are there already: what the record's field has by itself
COLUMNS: tuple[tuple[str, str, sa.Text | sa.Boolean, object], ...] = (
    ("attempt", "reclaimed_by", sa.Text(), ""),
    ("policy", "reclaims", sa.Boolean(), sa.false()),
)


def upgrade() -> None:
    for table, name, form, value in COLUMNS:
        op.add_column(table, sa.Column(name, form, nullable=False, server_default=value))  # type: ignore[arg-type]


def downgrade() -> None:
    for table, name, _, _ in COLUMNS:
        op.drop_column(table, name)

"""What a site may draw over time, when nothing may run there, what a node draws with nothing to do, and quotas of a policy."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# table, column, type, and what rows have in it that are there already: what the record's field has by itself
COLUMNS: tuple[tuple[str, str, sa.Text | sa.BigInteger, str], ...] = (
    ("site", "power", sa.Text(), "[]"),
    ("site", "maintenance", sa.Text(), "[]"),
    ("node", "idle_mw", sa.BigInteger(), "0"),
    ("policy", "quotas", sa.Text(), "[]"),
)


def upgrade() -> None:
    for table, name, form, value in COLUMNS:
        op.add_column(table, sa.Column(name, form, nullable=False, server_default=value))


def downgrade() -> None:
    for table, name, _, _ in COLUMNS:
        op.drop_column(table, name)

"""In which topology block a node stands and whether its devices are divided; what a site is preferred for, and how much."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# table, column, type, and what rows have in it that are there already: what the record's field has by itself
COLUMNS: tuple[tuple[str, str, sa.Text | sa.BigInteger | sa.Boolean, object], ...] = (
    ("node", "block", sa.Text(), ""),
    ("node", "shares", sa.Boolean(), sa.false()),
    ("site", "carbon_g_kwh", sa.BigInteger(), "-1"),
    ("site", "power_krw_mwh", sa.BigInteger(), "-1"),
    ("site", "datasets", sa.Text(), "[]"),
    ("policy", "preferences", sa.Text(), '[{"taste":"data","weight":1000,"most":-1}]'),
)


def upgrade() -> None:
    for table, name, form, value in COLUMNS:
        op.add_column(table, sa.Column(name, form, nullable=False, server_default=value))  # type: ignore[arg-type]


def downgrade() -> None:
    for table, name, _, _ in COLUMNS:
        op.drop_column(table, name)

"""Whether a policy moves work to other room of its site, where an attempt goes on that is moved, and whence it came."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# table, column, type, and what rows have in it that are there already: what the record's field has by itself
COLUMNS: tuple[tuple[str, str, sa.Text | sa.Boolean, object], ...] = (
    ("attempt", "move", sa.Text(), "{}"),
    ("attempt", "moved_from", sa.Text(), ""),
    ("policy", "moves", sa.Boolean(), sa.false()),
)


def upgrade() -> None:
    for table, name, form, value in COLUMNS:
        op.add_column(table, sa.Column(name, form, nullable=False, server_default=value))  # type: ignore[arg-type]


def downgrade() -> None:
    for table, name, _, _ in COLUMNS:
        op.drop_column(table, name)

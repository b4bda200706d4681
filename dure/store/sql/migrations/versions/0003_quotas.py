"""Quotas of a policy."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("policy", sa.Column("quotas", sa.Text(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("policy", "quotas")

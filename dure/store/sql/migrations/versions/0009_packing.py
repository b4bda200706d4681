"""By which packing a policy chooses nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("policy", sa.Column("packing", sa.Text(), nullable=False, server_default="fullest"))


def downgrade() -> None:
    op.drop_column("policy", "packing")

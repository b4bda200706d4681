"""In which order a policy gives turns."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("policy", sa.Column("order", sa.Text(), nullable=False, server_default="fair"))


def downgrade() -> None:
    op.drop_column("policy", "order")

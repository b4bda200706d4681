"""How fast work runs on types of accelerators, as an operator has measured it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("policy", sa.Column("speeds", sa.Text(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("policy", "speeds")

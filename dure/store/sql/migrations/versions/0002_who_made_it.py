"""Who made an actor, a token and a policy; what bounds a token; what was taken back of an award; transfers by time."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TYPES: dict[str, TypeEngine[Any]] = {
    "text": sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
    "int": sa.BigInteger(),
    "json": sa.Text(),
}

# table, column, type, and what rows have in it that are there already: what the record's field has by itself
COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("policy", "written_by", "text", ""),
    ("actor", "made_by", "text", ""),
    ("credential", "made_by", "text", ""),
    ("credential", "within", "json", "[]"),
    ("award", "withdrawn", "int", "0"),
)

INDEXES: tuple[tuple[str, str], ...] = (
    ("actor", "made_by"),
    ("credential", "made_by"),
    ("credential", "made_with"),
    ("grant", "scope"),
    ("transfer", "project at_ms"),
    ("transfer", "debit at_ms"),
    ("transfer", "credit at_ms"),
    ("transfer", "at_ms"),
)

# those that the ones above begin with
REPLACED: tuple[tuple[str, str], ...] = (("transfer", "project"), ("transfer", "debit"), ("transfer", "credit"))

# Proofs hold these columns against the event of the making, which has always told who did it; what is sealed is taken first.
# A policy keeps its "": its digest in the chain was made without a writer.
FILL = """
    UPDATE {table} SET made_by = (
        SELECT event.actor FROM event WHERE event.kind = '{kind}' AND event.subject = {table}.id
        ORDER BY CASE WHEN event.seq = 0 THEN 1 ELSE 0 END, event.seq, event.id LIMIT 1
    ) WHERE made_by = '' AND EXISTS (
        SELECT 1 FROM event WHERE event.kind = '{kind}' AND event.subject = {table}.id AND event.actor <> ''
    )
"""


def upgrade() -> None:
    for table, name, form, value in COLUMNS:
        op.add_column(table, sa.Column(name, TYPES[form], nullable=False, server_default=value))
    for table, columns in INDEXES:
        op.create_index(_index(table, columns), table, [*columns.split(), "id"])
    for table, columns in REPLACED:
        op.drop_index(_index(table, columns), table)
    fill(op.get_bind())


def fill(connection: sa.Connection) -> int:
    """Also for rows that a backup of the older schema brought, or a program of that schema which ran on. How many there were."""
    made = (("actor", "actor.created"), ("credential", "token.created"))
    return sum(connection.execute(sa.text(FILL.format(table=table, kind=kind))).rowcount for table, kind in made)


def downgrade() -> None:
    for table, columns in REPLACED:
        op.create_index(_index(table, columns), table, [*columns.split(), "id"])
    for table, columns in INDEXES:
        op.drop_index(_index(table, columns), table)
    for table, name, _, _ in COLUMNS:
        op.drop_column(table, name)


def _index(table: str, columns: str) -> str:
    return f"ix_{table}_{columns.replace(' ', '_')}"

"""The first schema: a table per record class.

Written out and frozen: later changes of the classes get migrations of their own and leave this one alone.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TYPES: dict[str, TypeEngine[Any]] = {
    "text": TEXT,
    "int": sa.BigInteger(),
    "bool": sa.Boolean(),
    "float": sa.Double(),
    "json": sa.Text(),
}

# table → its columns by type; `id` is the key, and nothing may be null
TABLES: dict[str, str] = {
    "plane": (
        "id:text incarnation:int leader_epoch:int sealed_seq:int sealed_hash:text head:json public_key:text draining:bool "
        "created_ms:int version:int"
    ),
    "policy": (
        "id:text classes:json prices:json limit_ms_default:int limit_ms_max:int min_run_ms:int half_life_ms:int "
        "backfill_depth:int reservations_max:int preemptible_permille:int rejections_max:int retry_pause_ms:int "
        "array_max:int workers_max:int retries_max:int waiting_max:int site_silent_ms:int created_ms:int "
        "version:int"
    ),
    "organisation": "id:text name:text kind:text parent:text weight:int version:int",
    "project": ("id:text name:text organisation:text partners:json weight:int use:float use_ms:int created_ms:int version:int"),
    "actor": "id:text kind:text disabled:bool created_ms:int version:int",
    "person": "id:text name:text email:text version:int",
    "grant": "id:text actor:text role:text scope:text version:int",
    "credential": (
        "id:text actor:text digest:text label:text made_with:text created_ms:int expires_ms:int revoked_ms:int version:int"
    ),
    "programme": "id:text name:text currency:text budget:int starts_ms:int ends_ms:int created_ms:int version:int",
    "award": (
        "id:text programme:text project:text currency:text amount:int starts_ms:int expires_ms:int sites:json "
        "accelerators:json awarded_by:text created_ms:int expired:bool version:int"
    ),
    "site": (
        "id:text name:text region:text jurisdiction:text owner_kind:text pue_permille:int backend:json "
        "agent_epoch:int incarnation:int accounted:json last_seen_ms:int drained:bool version:int"
    ),
    "node": (
        "id:text site:text name:text pool:text cores_milli:int memory_mib:int accelerator:text devices:int "
        "core_mw:int device_mw:int up:bool drained:bool version:int"
    ),
    "quarantine": "id:text site:text workload:text seen_ms:int observation:json resolved:text stopping:bool version:int",
    "bundle": "id:text project:text sha256:text size:int created_ms:int used_ms:int version:int",
    "workload": (
        "id:text project:text owner:text spec:json state:text array_id:text array_index:int origin:text "
        "submitted_ms:int "
        "eligible_ms:int started_ms:int ended_ms:int attempt:text attempts:int failures:int rejections:int "
        "cancel_asked_ms:int reason:json quoted_won:int policy_version:int version:int"
    ),
    "attempt": (
        "id:text workload:text project:text site:text epoch:int accelerator:text workers:json state:text "
        "outcome:text stop_cause:text beneficiary:text victims:json placed_ms:int running_ms:int stop_asked_ms:int "
        "ended_ms:int limit_ms:int currency:text held:int settled:int refunded:int charge_rest_nano:int "
        "refund_rest_nano:int energy_mwh:int energy_basis:text evidence:json policy_version:int version:int"
    ),
    "wait_note": "id:text project:text reason:json promised_ms:int at_ms:int version:int",
    "account": (
        "id:text currency:text debits_posted:int credits_posted:int debits_pending:int credits_pending:int "
        "normal:text version:int"
    ),
    "remainder": "id:text project:text site:text currency:text nano:int ends:int version:int",
    "transfer": (
        "id:text kind:text debit:text credit:text amount:int currency:text state:text hold:text settled:int "
        "project:text workload:text attempt:text rule_version:int at_ms:int version:int"
    ),
    "event": (
        "id:text at_ms:int actor:text kind:text subject:text project:text site:text data:json touched:json "
        "format:int seq:int hash:text version:int"
    ),
    "idempotency": "id:text request:text status:int answer:json at_ms:int version:int",
}

INDEXES: tuple[tuple[str, str], ...] = (
    ("workload", "project state"),
    ("workload", "project"),
    ("workload", "array_id"),
    ("workload", "state"),
    ("attempt", "workload"),
    ("attempt", "site state"),
    ("attempt", "state"),
    ("remainder", "project"),
    ("transfer", "project"),
    ("transfer", "attempt"),
    ("transfer", "hold"),
    ("transfer", "debit"),
    ("transfer", "credit"),
    ("event", "seq"),
    ("event", "project seq"),
    ("event", "subject"),
    ("idempotency", "at_ms"),
    ("grant", "actor"),
    ("credential", "actor"),
    ("award", "project"),
    ("award", "programme"),
    ("node", "site"),
    ("quarantine", "site"),
    ("quarantine", "site stopping"),
    ("wait_note", "project"),
    ("bundle", "project"),
)


def upgrade() -> None:
    for table, columns in TABLES.items():
        op.create_table(table, *(_column(*column.split(":")) for column in columns.split()))
    for table, columns in INDEXES:
        op.create_index(f"ix_{table}_{columns.replace(' ', '_')}", table, [*columns.split(), "id"])
    above = sa.text("seq > 0")
    op.create_index("uq_event_seq", "event", ["seq"], unique=True, sqlite_where=above, postgresql_where=above)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _column(name: str, form: str) -> sa.Column[Any]:
    return sa.Column(name, TYPES[form], primary_key=name == "id", nullable=False)

"""Run by Alembic for every migration, on the connection (and in the transaction) that `schema.py` hands over."""

from alembic import context

from dure.store.sql.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,  # SQLite can, when the driver does not begin transactions of its own (see engines.py)
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

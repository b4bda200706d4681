"""The Store port over SQL databases: SQLite for a farm on one machine, PostgreSQL for more.

Lives here: every line of SQL in Dure, the tables and their migrations, the one thread that writes, the lead, and the ways to
carry records out of one database and into another. May never: use an ORM, hold a record between two transactions, or write on
any other thread. A schema change expands first and contracts a release later, so that N and N-1 can run on one database.
"""

from dure.store.sql.store import SqlStore

__all__ = ["SqlStore"]

"""What we remember: the Store port over SQL (SQLite, PostgreSQL) and over plain memory.

Lives here: tables, migrations, transactions, the lead, backup and restore. May never: decide anything. A store keeps what it is
given, all of a transaction or none of it; no state machine, no money rule and no access rule is known here. SQL lives in
`dure.store.sql` alone. Nothing is exported: only `dure.bootstrap` (and a test, and the simulator) picks an implementation,
`dure.store.memory.MemoryStore` or `dure.store.sql.SqlStore`. One contract test holds for all of them.
"""

"""Where Alembic begins: it works on the connection that `migrate` hands it, never on its own."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="proctor",
    # All steps or none: a schema between two revisions fits no release.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

"""Alembic's entry: runs the migrations on the connection that `oms_hub.store.migrate` hands over."""

from alembic import context

from oms_hub.store.schema import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()

"""Alembic's entry: runs the migrations on the connection that `upgrade` hands over."""

from alembic import context

from calslo_dagster.store.migrations import comparison

# Alembic sets `config` while it runs this file; a tool that walks the package and merely imports it runs nothing.
if hasattr(context, "config"):
    context.configure(connection=context.config.attributes["connection"], **comparison())
    context.run_migrations()

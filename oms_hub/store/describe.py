"""What the hub's tables look like, for whoever shows their columns; reads the definitions, never the database."""

from __future__ import annotations

from oms_hub.store.schema import SCHEMA, metadata


def table_columns(name: str) -> list[dict[str, str]]:
    """Return a table's columns as `{"name", "type", "description"}`, in order.

    Args:
        name: a table of the schema `hub`, without its schema.

    Raises:
        KeyError: there is no such table.
    """
    table = metadata.tables[f"{SCHEMA}.{name}"]
    return [
        {"name": column.name, "type": str(column.type).lower(), "description": column.comment or ""}
        for column in table.columns
    ]

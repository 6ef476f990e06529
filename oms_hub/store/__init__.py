"""The only home of SQLAlchemy and of SQL. Rules that a database can hold stand in `schema` as keys and checks."""

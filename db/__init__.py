"""PostgreSQL: schema, roles, connections, queries."""

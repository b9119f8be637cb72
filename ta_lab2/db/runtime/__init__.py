"""The runtimes: what provides a PostgreSQL server on this machine."""

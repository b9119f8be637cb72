"""The database: connections, the routine lane, and the runtimes that provide a server."""

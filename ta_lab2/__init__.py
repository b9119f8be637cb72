"""Systematic crypto research and trading that lives inside PostgreSQL."""

__version__ = "0.1.0"

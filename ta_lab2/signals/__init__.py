"""Signals: entries and exits of strategies that are rows, and digests of all that they read."""

"""Indicators: mathematics that touches no table."""

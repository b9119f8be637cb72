"""Backtests: runs over stored signals, their trades, equity and metrics."""

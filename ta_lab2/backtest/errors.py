"""Errors that the routines of ``backtest`` raise."""

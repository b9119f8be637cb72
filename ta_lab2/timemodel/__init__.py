"""Time: when a market is open, and which sessions a range of dates has."""

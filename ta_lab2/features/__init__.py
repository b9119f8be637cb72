"""Features: what is computed from the candles, and its refresh."""

"""Prices: the assets, their daily candles, and how files become candles."""

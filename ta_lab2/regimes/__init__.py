"""Regimes: trend, volatility and liquidity of each layer, day by day, and what they allow."""

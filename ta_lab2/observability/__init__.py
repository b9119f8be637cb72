"""Observability: what ran, how long it took, what it counted, and what somebody should look at."""

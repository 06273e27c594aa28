"""Memory: exact search, and re-ranking of what was retrieved."""

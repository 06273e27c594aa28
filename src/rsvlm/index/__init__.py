"""Memory: archives of tiles, exact search over vectors at hand, re-ranking of knowledge."""

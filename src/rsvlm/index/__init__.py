"""Memory: archives of tiles, re-ranking of knowledge."""

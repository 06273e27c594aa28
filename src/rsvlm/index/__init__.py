"""Memory: stores and retrieval (empty so far)."""

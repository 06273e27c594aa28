"""One short file a published system, and what builds, loads and asks them."""

"""GeoRSCLIP (arXiv:2306.11300)."""

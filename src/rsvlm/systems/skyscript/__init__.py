"""SkyCLIP, of the SkyScript paper (arXiv:2312.12856)."""

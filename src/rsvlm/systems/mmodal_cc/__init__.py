"""MModalCC: change captions from pictures and semantic maps of two dates (arXiv:2501.10075)."""

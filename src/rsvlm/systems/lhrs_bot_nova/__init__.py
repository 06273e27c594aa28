"""LHRS-Bot-Nova (arXiv:2411.09301)."""

"""RS-GPT4V (arXiv:2406.12479), and GeoChat, which has the same parts."""

"""LHRS-Bot (arXiv:2402.02544)."""

"""RS-RAG (arXiv:2504.04988)."""

"""RS-CapRet (arXiv:2402.06475)."""

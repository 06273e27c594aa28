"""The CLIP fine-tuned on GAIA (arXiv:2502.09598)."""

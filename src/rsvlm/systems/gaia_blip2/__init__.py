"""The BLIP-2 fine-tuned for captions on GAIA (arXiv:2502.09598)."""

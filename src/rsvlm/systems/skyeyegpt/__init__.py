"""SkyEyeGPT (arXiv:2401.09712)."""

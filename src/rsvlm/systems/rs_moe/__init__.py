"""RS-MoE (arXiv:2411.01595), a reconstruction."""

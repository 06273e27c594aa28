"""Checkpoint files: read without running code, named as here, every tensor accounted for."""

"""Heads: what is read off the visual levels beside the language model."""

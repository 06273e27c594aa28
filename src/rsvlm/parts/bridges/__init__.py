"""Bridges: feature levels of a vision tower (and the question) to tokens of the language model."""

"""Metrics of texts: captions, sentences, tokens."""

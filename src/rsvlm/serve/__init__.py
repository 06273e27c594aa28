"""Answering about scenes: questions in, words with a place on Earth out."""

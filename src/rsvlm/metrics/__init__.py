"""Metrics: `(predictions, references) -> Score`, equal to the reference implementations of the field."""

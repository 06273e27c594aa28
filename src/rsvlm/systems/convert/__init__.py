"""Published weights: identified, converted to a model folder, verified."""

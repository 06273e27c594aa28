"""Things that systems are made of; each receives parts and plain numbers, never a recipe."""

"""Text towers: token ids to one vector a text."""

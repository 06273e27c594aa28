"""Vision towers: RGB in [0, 1] to feature levels, shallow to deep."""

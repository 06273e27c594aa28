"""`rsvlm train`: the loop, its stages, checkpoints and log."""

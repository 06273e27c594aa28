"""Data: published annotations to Samples, Samples to files and batches."""

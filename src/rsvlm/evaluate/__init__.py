"""Numbers: benchmarks, metrics, baselines, reports."""

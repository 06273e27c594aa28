"""The protocols, a file for each kind of benchmark; `rsvlm.evaluate.benchmarks` collects them."""

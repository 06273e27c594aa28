"""The protocols, a file for each group. `rsvlm.evaluate.benchmarks` registers the `PROTOCOLS` of every file here.

`POSITION` is a file's place in lists and tables (lowest first); a file without one comes last.
"""

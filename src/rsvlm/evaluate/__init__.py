"""Evaluation: protocols, solvers, baselines, leakage, scoring of answer files, reports."""

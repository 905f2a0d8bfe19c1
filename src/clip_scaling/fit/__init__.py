"""Scaling laws: forms, estimators, intervals, held-out tests, comparison of distributions, planning."""

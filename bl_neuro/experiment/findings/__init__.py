"""Computes findings from the cells of an audit: estimates, verdicts, power, comparisons."""

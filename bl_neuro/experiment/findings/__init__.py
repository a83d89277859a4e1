"""What the cells of an audit amount to: estimates, verdicts, power, comparisons."""

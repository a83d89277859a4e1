"""Reports on what an audit found: the page, its summary, and comparisons of audits."""

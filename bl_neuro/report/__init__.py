"""Reports on what an audit found: the page, its summary, and comparisons of audits."""

from bl_neuro.report.page import write_report

__all__ = ["write_report"]

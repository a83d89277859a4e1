"""Reports on the findings of an audit: the HTML page, its summary, and comparisons of audits."""

from bl_neuro.report.page import write_report

__all__ = ["write_report"]

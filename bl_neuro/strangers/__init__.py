"""Readers of untrusted files: every size is bounded, and nothing in a file is executed."""

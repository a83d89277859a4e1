"""Doing one cell: training, attacking, judging, replaying, verifying."""

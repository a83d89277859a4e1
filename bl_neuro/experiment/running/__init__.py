"""Runs cells: the runner and its pools of workers."""

"""Runs the command line with `python -m bl_neuro`."""

from bl_neuro.cli import main

main()

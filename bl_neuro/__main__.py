"""`python -m bl_neuro` is `bl-neuro`."""

from bl_neuro.cli import main

main()

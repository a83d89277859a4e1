"""Results in a folder, by content address: written whole or not at all, checked when they are read."""

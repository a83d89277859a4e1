"""Running cells to the end, whatever happens: the store, the runner, and its crews of workers."""

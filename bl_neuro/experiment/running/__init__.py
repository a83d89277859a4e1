"""Running cells: the runner, and the pools of workers that it can use."""

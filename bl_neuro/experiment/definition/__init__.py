"""An experiment as a file says it: parts, their checks, and the reading of it."""

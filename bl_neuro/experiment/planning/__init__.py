"""What an experiment comes down to: cells, what each depends on, and what they will take."""

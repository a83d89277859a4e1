"""One part of every kind for bl-neuro."""

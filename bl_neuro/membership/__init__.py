"""Membership inference on networks: asking about samples, and shadow networks as folders of model files."""

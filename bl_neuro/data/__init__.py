"""Datasets and encoders: images in 0..1 with their labels, and how they become spikes."""

from bl_neuro.data.dataset import Dataset, Split, three_way_split
from bl_neuro.data.digits import load_digits
from bl_neuro.data.encoders import rate_encode

__all__ = ["Dataset", "Split", "load_digits", "rate_encode", "three_way_split"]

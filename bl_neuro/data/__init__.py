"""Datasets of images and of events, their splits, and how they become the input of a network."""

from bl_neuro.data.dataset import Dataset
from bl_neuro.data.digits import load_digits
from bl_neuro.data.encoders import ENCODERS, Encoder, direct_encode, find_encoder, held_encode, rate_encode
from bl_neuro.data.load import load_dataset
from bl_neuro.data.mnist import load_mnist
from bl_neuro.data.samples import Samples
from bl_neuro.data.split import Split, official_split, shared_split, three_way_split

__all__ = [
    "ENCODERS",
    "Dataset",
    "Encoder",
    "Samples",
    "Split",
    "direct_encode",
    "find_encoder",
    "held_encode",
    "load_dataset",
    "load_digits",
    "load_mnist",
    "official_split",
    "rate_encode",
    "shared_split",
    "three_way_split",
]

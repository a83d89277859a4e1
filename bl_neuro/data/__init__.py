"""Datasets of images and events, their splits, and the encoders that turn them into inputs of a network."""

from bl_neuro.data.class_order import in_class_order, only_classes
from bl_neuro.data.encoders import ENCODERS, Encoder, direct_encode, find_encoder, held_encode, rate_encode
from bl_neuro.data.events import EventDataset
from bl_neuro.data.folder import load_folder
from bl_neuro.data.npz import load_npz
from bl_neuro.data.registry import DATASETS, data_status, dataset_names, load_dataset
from bl_neuro.data.samples import Dataset, Samples
from bl_neuro.data.source import DatasetSource, DataStatus, LoadOptions
from bl_neuro.data.split import Split, official_split, shared_split, three_way_split, whole_split

__all__ = [
    "DATASETS",
    "ENCODERS",
    "DataStatus",
    "Dataset",
    "DatasetSource",
    "Encoder",
    "EventDataset",
    "LoadOptions",
    "Samples",
    "Split",
    "data_status",
    "dataset_names",
    "direct_encode",
    "find_encoder",
    "held_encode",
    "in_class_order",
    "load_dataset",
    "load_folder",
    "load_npz",
    "official_split",
    "only_classes",
    "rate_encode",
    "shared_split",
    "three_way_split",
    "whole_split",
]

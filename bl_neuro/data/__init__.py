"""Datasets of images and of events, their splits, and how they become the input of a network."""

from bl_neuro.data.att_faces import load_att_faces
from bl_neuro.data.class_order import in_class_order
from bl_neuro.data.digits import load_digits
from bl_neuro.data.dvs_gesture import load_dvs_gesture
from bl_neuro.data.encoders import ENCODERS, Encoder, direct_encode, find_encoder, held_encode, rate_encode
from bl_neuro.data.events import EventDataset
from bl_neuro.data.folder import load_folder
from bl_neuro.data.load import DATASET_NAMES, load_dataset
from bl_neuro.data.mnist import load_mnist
from bl_neuro.data.nmnist import load_nmnist
from bl_neuro.data.npz import load_npz
from bl_neuro.data.samples import Dataset, Samples
from bl_neuro.data.split import Split, official_split, shared_split, three_way_split, whole_split
from bl_neuro.data.status import DataStatus, data_status

__all__ = [
    "DATASET_NAMES",
    "ENCODERS",
    "DataStatus",
    "Dataset",
    "Encoder",
    "EventDataset",
    "Samples",
    "Split",
    "data_status",
    "direct_encode",
    "find_encoder",
    "held_encode",
    "in_class_order",
    "load_att_faces",
    "load_dataset",
    "load_digits",
    "load_dvs_gesture",
    "load_folder",
    "load_mnist",
    "load_nmnist",
    "load_npz",
    "official_split",
    "rate_encode",
    "shared_split",
    "three_way_split",
    "whole_split",
]

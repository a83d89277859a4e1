"""Stands in for a dataset that is not available, with enough facts to plan an audit."""

from __future__ import annotations

from bl_neuro.data.registry import DATASETS
from bl_neuro.errors import DataError
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.material import Material, Place


class MissingMaterial(Material):
    """The inputs of an experiment that trains targets on a known dataset, without its samples.

    Addresses of cells depend on the samples, so the addresses in such a plan do not identify results.
    """

    def __init__(self, experiment: Experiment, place: Place) -> None:
        published = DATASETS.find(experiment.dataset.name)
        if published.classes is None:
            raise DataError(f"dataset {published.name}: its number of classes is not known without its files")
        self.name, self.part = published.name, experiment.dataset
        self.folder = place.folder
        self.network = None
        self.endpoints = {}
        self.auxiliary_part = None
        chosen = experiment.dataset.classes or list(range(published.classes))
        self.dataset_classes = len(chosen)
        self.shape, self.class_names = (), tuple(map(str, chosen))
        self.class_map = list(range(len(chosen)))
        self.classes = self.class_map if experiment.classes is None else experiment.classes
        self.definition = {"name": published.name, "missing": True}

    @property
    def encoder(self) -> str | None:
        """Unknown without the data."""
        return None

"""What is known of a published dataset that is not here: enough to plan an audit of it, and no more."""

from __future__ import annotations

from bl_neuro.data.registry import DATASETS
from bl_neuro.errors import DataError
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.material import Material, Place


class MissingMaterial(Material):
    """The material of an experiment that trains its targets on a published dataset, without its samples.

    Addresses of cells depend on the samples, so those of its plan are no addresses of results.
    """

    def __init__(self, experiment: Experiment, place: Place) -> None:
        published = DATASETS.find(experiment.dataset.name)
        if published.classes is None:
            raise DataError(f"dataset {published.name}: how many classes it has is not known without its files")
        self.name = published.name
        self.folder = place.folder
        self.network = None
        self.endpoints = {}
        self.dataset_classes = published.classes
        self.class_map = list(range(published.classes))
        self.classes = self.class_map if experiment.classes is None else experiment.classes
        self.definition = {"name": published.name, "missing": True}

    @property
    def encoder(self) -> str | None:
        """Not known of data that is not here."""
        return None

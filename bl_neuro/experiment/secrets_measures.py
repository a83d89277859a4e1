"""The measures of the cells of planted secrets."""

from __future__ import annotations

from pydantic import Field

from bl_neuro.experiment.cell_measures import CellMeasures, Count, CountedMeasures, Hit, Share


class SecretTargetMeasures(CellMeasures):
    """A target that was trained on data with planted secrets."""

    fingerprint: str = Field(description="SHA-256 of the network.")
    parameters: Count = Field(description="Number of trained parameters.")
    secrets: list[Count] = Field(description="The secret of each class of the dataset. Attacks do not get it.")
    copies: list[Count] | None = Field(
        default=None, description="How often each secret is among the training samples; null if in all of its class."
    )


class SecretAccuracyMeasures(CellMeasures):
    """The accuracy of such a target on test data with the same secrets."""

    accuracy: Share
    samples: Count = Field(description="Number of tested samples.")


class SecretReaderMeasures(CellMeasures):
    """A reader of secrets."""

    accuracy: list[Share] = Field(description="Of each class: how often it reads the secret from a test image.")
    images: Count = Field(description="Number of different images that it learned from.")


class SecretGuessMeasures(CountedMeasures):
    """What an attacker guesses. Lists have one entry per attacked class."""

    _counted = ("classes", "guesses", "hits", "ranks")

    classes: list[Count]
    guesses: list[Count]
    hits: list[Hit] = Field(description="Whether the guess is right.")
    ranks: list[float] = Field(description="Of the true secret among all choices, from 1; ties share their mean rank.")
    choices: Count = Field(description="Number of possible secrets of a class.")
    queries: Count = Field(description="Number of queries for all classes together.")

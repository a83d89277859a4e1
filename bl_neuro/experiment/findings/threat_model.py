"""Who the attacker of a row is: what they hold, what they see, what they take for granted."""

from __future__ import annotations

from collections.abc import Sequence


def threat_model(access: str, reveals: str, assumptions: Sequence[str]) -> str:
    """Who the attacker of a row is, what they hold, see and take for granted."""
    assumed = f" Assumes that {' and that '.join(assumptions)}." if assumptions else ""
    if access == "white_box":
        return (
            "Holds the model file: runs the network at will, with its weights and the gradient of its "
            f"output membrane. Knows the input size and number of classes; has no training data.{assumed}"
        )
    shown = {
        "membrane": "the output membrane in every step",
        "scores": "a score for each class",
        "spikes": "every output spike",
        "counts": "how often each output neuron spiked",
        "label": "the name of the winning class",
    }[reveals]
    return (
        f"May only query the deployed network, and sees {shown}. Every query is counted. Knows the "
        f"input size and the number of classes; has no weights, gradients or training data.{assumed}"
    )

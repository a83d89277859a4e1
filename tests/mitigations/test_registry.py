"""Mitigations are found by their names, in files and in results of other installations."""

from __future__ import annotations

import pytest

from bl_neuro.errors import InputError
from bl_neuro.mitigations import Mitigation, Rounding, make_mitigation
from bl_neuro.mitigations.registry import installed_mitigation


def test_a_mitigation_is_made_from_its_name_and_settings() -> None:
    assert make_mitigation("rounding", {"step": 5}) == Rounding(5.0)
    with pytest.raises(InputError, match=r"mitigation: expected one of reveal, .*did you mean 'rounding'"):
        make_mitigation("roundin", {})
    with pytest.raises(InputError, match="mitigation rounding: step: is required, but missing"):
        make_mitigation("rounding", {})


def test_results_of_a_package_that_is_not_here_are_still_worded() -> None:
    unknown = installed_mitigation("even_counts")
    assert unknown is Mitigation
    assert unknown.phrase.format(setting="even counts") == "even counts"
    assert not unknown.averages_out

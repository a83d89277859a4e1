"""Provenance of results, and single-threaded computation for repeatable results."""

from __future__ import annotations

import platform
from datetime import datetime, timedelta, timezone

import pytest
import torch

import bl_neuro
from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.experiment.threads import one_thread


def test_versions_of_what_is_installed() -> None:
    installed = versions()
    assert installed["bl-neuro"] == bl_neuro.__version__
    assert installed["python"] == platform.python_version()
    assert installed["torch"] == torch.__version__.split("+")[0] or installed["torch"] == torch.__version__
    assert all(isinstance(number, str) and number for number in installed.values())


def test_a_machine_without_its_name() -> None:
    facts = machine()
    assert set(facts) == {"system", "machine", "cores", "threads"}
    assert int(facts["cores"]) >= 1
    name = platform.node()
    assert not name or all(name not in value for value in facts.values())


def test_now_is_in_utc() -> None:
    moment = datetime.fromisoformat(now())
    assert moment.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - moment) < timedelta(minutes=1)


def test_one_thread_and_then_as_many_as_before() -> None:
    kept = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), one_thread():
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(kept)

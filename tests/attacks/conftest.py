"""Attacks of another package, which are found through entry points alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import pytest

from bl_neuro.attacks import ATTACKS

PLAIN = '''
"""Two attacks that derive from Attack alone: one with a setting for its queries, and one with none at all."""

from dataclasses import dataclass, replace

import torch

from bl_neuro.attacks import Attack, QueryCourse, Status


class Plain(Attack):
    """Asks once about each class's own frame; it has no settings and plans no queries."""

    name = "plain"
    access = "black_box"
    asked = 1

    def _invert(self, box, classes, steps, seed, progress):
        course = QueryCourse(box, classes)
        frames = torch.rand(len(classes), *box.input_shape, generator=torch.Generator().manual_seed(seed)).round()
        spikes = frames.expand(steps, *frames.shape)
        status = Status.COMPLETED
        for done in range(self.rounds()):
            if not course.affords(len(classes)):
                status = Status.BUDGET_SPENT
                break
            box.query(spikes)
            course.add(torch.zeros(len(classes)), frames)
            progress(done + 1, self.rounds())
        return course.inversions(self.name, seed, status, spikes)

    def rounds(self):
        return self.asked


@dataclass(frozen=True, kw_only=True)
class Counted(Plain):
    """The same, `queries` times."""

    name = "counted"
    title = "counted queries"

    queries: int = 3

    def rounds(self):
        return self.queries

    def planned_queries(self, classes):
        return self.queries * classes

    def within(self, budget, classes):
        return replace(self, queries=max(1, budget // classes))
'''

POINTS = """
[bl_neuro.attacks]
plain = plain_attacks:Plain
counted = plain_attacks:Counted
broken = plain_attacks:Gone
"""


@pytest.fixture
def plain_attacks(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The attacks "plain", "counted" and "broken", of an installed package; worker processes find it too."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "plain_attacks.py").write_text(PLAIN)
    installed = folder / "plain_attacks-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: plain-attacks\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(POINTS)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(folder))
    ATTACKS.__dict__.pop("_added", None)
    yield
    ATTACKS.__dict__.pop("_added", None)
    sys.modules.pop("plain_attacks", None)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `bl-neuro` in this process: exit code, standard output, standard error."""
    from bl_neuro.cli import run

    def execute(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return execute

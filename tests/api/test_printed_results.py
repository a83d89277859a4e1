"""Results print what the command line prints, and are tables in notebooks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.api.doctor import DoctorReport, PartState, SubstrateState
from bl_neuro.api.result import AuditResult
from bl_neuro.cli import run

NETWORK = bl.Network((6,), [bl.Dense(np.random.default_rng(0).normal(0.1, 0.3, (4, 6)), bl.CubaLIF())])


def command(capsys: pytest.CaptureFixture[str], *arguments: Any) -> list[str]:
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == 0
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def need_tables(result: Any, count: int) -> None:
    html = result._repr_html_()
    assert html.count("<table>") == html.count("</table>") == count
    assert repr(result) == str(result)
    assert type(result).__name__ + "(" not in str(result)


def test_a_described_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bl.save(NETWORK, tmp_path / "a.net")
    facts = bl.inspect(tmp_path / "a.net")
    lines = command(capsys, "inspect", tmp_path / "a.net")
    assert [f"{tmp_path / 'a.net'}: {facts}".splitlines()] == [lines]
    need_tables(facts, 3)


def test_an_exported_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bl.save(NETWORK, tmp_path / "a.safetensors")
    exported = bl.export(NETWORK, tmp_path / "a.net")
    lines = command(capsys, "export", tmp_path / "a.safetensors", tmp_path / "a.net", "--force")
    assert str(exported).splitlines() == lines
    need_tables(exported, 1)
    plain = bl.export(NETWORK, tmp_path / "b.safetensors")
    assert str(plain) == f"Nothing is rounded.\nWritten: {tmp_path / 'b.safetensors'}"


def test_a_verified_model(tmp_path: Path, capsys: pytest.CaptureFixture[str], needs: Any) -> None:
    needs("snntorch")
    bl.save(NETWORK, tmp_path / "a.safetensors")
    report = bl.verify(NETWORK, ["snntorch", "loihi"], progress=False)
    lines = command(capsys, "verify", tmp_path / "a.safetensors", "--backends", "snntorch,loihi")
    assert str(report).splitlines()[1:] == lines[1:]  # the first has the seconds
    assert lines[-1] == "These substrates do not promise identical spikes."
    need_tables(report, 2 if report.pairs[0].exact else 3)


@pytest.mark.slow
def test_compared_audits(audited: AuditResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(audited.folder, tmp_path / "copy")
    compared = bl.compare([audited, tmp_path / "copy"])
    lines = command(capsys, "compare", audited.folder, tmp_path / "copy")
    assert str(compared).splitlines() == lines
    assert "Attack accuracy and 95% intervals over the target seeds of each run" in lines
    need_tables(compared, 1)


def test_what_works_here() -> None:
    substrates = [
        SubstrateState("loihi", "Loihi", "bl-neuro", True, "black box", "in integers", "", seconds=0.25),
        SubstrateState("norse", "Norse", "bl-neuro", False, "white box", "", "install <norse>"),
    ]
    parts = {"attacks": [PartState("v1", "V1", "by gradients", "bl-neuro", True, "")]}
    machine = {"machine": "x86_64", "cores": 2, "cpu": ["avx2"]}
    report = DoctorReport({"torch": "2.0"}, machine, substrates, parts)
    lines = str(report).splitlines()
    assert lines[0] == "Substrates"
    assert [line.split()[:2] for line in lines[3:5]] == [["loihi", "works"], ["norse", "missing"]]
    assert lines[-2:] == ["Versions: torch 2.0", "CPU: x86_64, 2 cores; avx2"]
    need_tables(report, 2)
    assert "install &lt;norse&gt;" in report._repr_html_()


def test_names_from_files_cannot_control_the_terminal(tmp_path: Path) -> None:
    exported = bl.export(NETWORK, tmp_path / "\x1b[31m.net")
    assert "\x1b" not in str(exported)
    assert r"\x1b[31m.net" in str(exported)

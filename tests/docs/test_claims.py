"""Claims in the documentation: docs/results.md quotes the recorded figures, and known false claims are absent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bl_neuro.experiment.findings.models import Findings
from bl_neuro.rounding import fixed

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results.md"
TEXTS = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("results/**/*.md"),
    *ROOT.glob("scripts/**/*.py"),
    *(path for room in ("bl_neuro", "backends", "deploy") for path in ROOT.glob(f"{room}/**/*.py")),
    *ROOT.glob("bl_neuro/**/*.toml"),
    ROOT / "CITATION.cff",
    ROOT / "pyproject.toml",
]
FALSE = {
    "the authors' repository lists the notebook of spiking targets on faces": r"authors lost|figures[^.]*\bare lost\b"
    r"|spiking figures were never published",
    "arXiv 2502.05509 inverted spiking networks as black boxes before": r"\bfirst\b[^.]{0,40}\bblack[- ]box\b"
    r"[^.]{0,60}\b(?:spiking|SNN)",
    "membership is measured, and is not ruled out": r"(?:prototypes|recover)[^.]*\bnot\b[^.]*\bmembers of the training",
    "there are five programs, and two arithmetics": r"\bfive substrates\b",
}
"""Why a claim is false, and what it looks like."""
GRADIENTS_AND_ANSWERS = [("v1", "gradient"), ("v2", "scores"), ("v2", "counts"), ("v2", "label")]
REAL = "snntorch"
"""A substrate that computes in real numbers, which every comparison of the two arithmetics has first."""


def words_of(path: Path) -> str:
    """The text on one line, since a claim may be broken anywhere."""
    return " ".join(path.read_text(encoding="utf-8").replace('"\n', "").split())


def audit(name: str) -> Findings:
    return Findings.from_json((ROOT / "results" / f"audit-{name}" / "results.json").read_text())


def accuracies(results: Findings, judge: str) -> list[float]:
    """Attack accuracy on trained targets under a judge, of every attack and substrate."""
    rows = [row for row in results.rows if row.target == "trained"]
    return [row.evaluators[judge].attack_accuracy.value for row in rows]


@pytest.mark.parametrize("why", FALSE)
def test_no_text_makes_a_false_claim(why: str) -> None:
    pattern = re.compile(FALSE[why], re.IGNORECASE)
    claims = {str(path.relative_to(ROOT)): match[0] for path in TEXTS if (match := pattern.search(words_of(path)))}
    assert not claims, why


@pytest.mark.parametrize(
    "claim",
    [
        "spiking targets, whose figures the authors lost, 0.69",
        "The authors' figures for spiking targets are lost.",
        "the first black-box attack on spiking networks",
        "What these attacks recover are prototypes of classes, not members of the training set.",
        "v1 and v2 on five substrates",
    ],
)
def test_false_claims_are_seen(claim: str) -> None:
    assert any(re.search(pattern, claim, re.IGNORECASE) for pattern in FALSE.values())


@pytest.mark.parametrize("text", ["README.md", "CITATION.cff", "bl_neuro/attacks/brainleaks_v2.py"])
def test_the_earlier_black_box_attack_is_cited(text: str) -> None:
    assert "2502.05509" in (ROOT / text).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_the_results_have_the_differences_of_the_audits(name: str) -> None:
    """Real numbers less Loihi's integers, one comparison for each attack and what it is shown."""
    differences = {
        (compared.attack, compared.reveals): compared.verdict.difference
        for compared in audit(name).verdicts
        if (compared.evaluator, compared.measure) == ("conv", "hit") and REAL in compared.first
    }
    cells = []
    for view in GRADIENTS_AND_ANSWERS:
        difference = differences[view]
        ends = (difference.value, difference.low, difference.high)
        value, low, high = (fixed(100 * end, 1, "+") for end in ends if end is not None)
        cells.append(f"{value} [{low}, {high}]")
    assert f"| {' | '.join(cells)} |" in PAGE.read_text(encoding="utf-8")


def test_the_results_have_what_each_judge_recognised() -> None:
    ranges: dict[str, list[str]] = {"digits": [], "mnist": []}
    for name, row in ranges.items():
        for judge in ("conv", "spiking"):
            values = accuracies(audit(name), judge)
            low, high = min(values), max(values)
            places = 1 if high > 0.995 else 0  # 99.5%, where 100% would say too much
            row.append(f"{fixed(100 * low, 0)} to {fixed(100 * high, places)}%")
    on_digits = "{} (convolutional evaluator) and {} (spiking evaluator) on digits".format(*ranges["digits"])
    on_mnist = "{} and {} on MNIST".format(*ranges["mnist"])
    assert f"{on_digits}, {on_mnist}" in words_of(PAGE)


def membership_row(folder: str, data: str, deployment: str) -> str:
    """A row of the table of docs/results.md on membership inference, from recorded results."""
    results = Findings.from_json((ROOT / "results" / folder / "results.json").read_text()).membership
    assert results is not None
    rows = {
        row.reveals: row
        for row in results.rows
        if (row.deployment, row.ask, row.attack, row.shadows) == (deployment, "plain", "lira", "right")
    }
    cells = [
        f"{fixed(mean.value, 3)} [{fixed(mean.low or 0, 3)}, {fixed(mean.high or 0, 3)}]"
        for mean in (rows[reveals].auc for reveals in ("scores", "counts", "label") if reveals in rows)
    ]
    found = rows["scores"].tpr_at_1
    cells = [*cells[:1], "-", *cells[1:]] if "counts" not in rows else cells
    ends = [fixed(100 * value, 1) for value in (found.value, found.low or 0, found.high or 0)]
    name = deployment.replace("weight_bits ", "").replace("loihi, ", "`loihi`, weights of ")
    name = {"loihi": "`loihi`", "snntorch": "snnTorch"}.get(name, f"{name} bits" if "weights" in name else name)
    size = f"{results.networks} x {results.samples:,}"
    return f"| {data} | {size} | {name} | {' | '.join(cells)} | {ends[0]} [{ends[1]}, {ends[2]}] |"


MEMBERSHIP_ROWS = [
    *(("membership-digits", "digits", name) for name in ("snntorch", "loihi", "loihi, weight_bits 6")),
    *(("membership-digits", "digits", name) for name in ("loihi, weight_bits 5", "loihi, weight_bits 4", "ANN twins")),
    *(("membership-mnist", "MNIST", name) for name in ("snntorch", "loihi", "loihi, weight_bits 4", "ANN twins")),
    *(("membership-faces", "faces", name) for name in ("snntorch", "loihi", "loihi, weight_bits 4")),
]


@pytest.mark.parametrize(("folder", "data", "deployment"), MEMBERSHIP_ROWS)
def test_membership_results_are_quoted(folder: str, data: str, deployment: str) -> None:
    assert membership_row(folder, data, deployment) in PAGE.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("data", ["digits", "mnist"])
def test_advantages_are_quoted(data: str) -> None:
    """The advantage over an attacker who asks nothing, of every attack on floating point."""
    assert advantage_row(data) in PAGE.read_text(encoding="utf-8").splitlines()


def advantage_row(data: str) -> str:
    """A row of the table of docs/results.md on attackers who ask nothing, from recorded results."""
    rows = {(row.attack, row.reveals): row for row in audit(data).own_rows if row.substrate == REAL}
    judged = [rows[view].evaluators["conv"] for view in GRADIENTS_AND_ANSWERS]
    best, cells = judged[0], []
    for one in judged:
        assert one.advantage is not None
        ends = [fixed(100 * (end or 0), 1, "+") for end in (one.advantage.value, one.advantage.low, one.advantage.high)]
        cells.append(f"{ends[0]} [{ends[1]}, {ends[2]}]")
    assert best.baseline_accuracy is not None
    name = {"digits": "digits", "mnist": "MNIST"}[data]
    return f"| {name} | {best.baseline}: {fixed(100 * best.baseline_accuracy.value, 0)}% | {' | '.join(cells)} |"


CANARY_ROWS = [
    ("informed, scores", "snnTorch", None, "scores", "snntorch"),
    ("informed, scores", "ANN twins", None, "scores", "ann"),
    ("informed, label", "snnTorch", None, "label", "snntorch"),
    ("v1", "snnTorch", "v1", "gradient", "snntorch"),
    ("`ann`", "ANN twins", "ann", "gradient", "ann"),
    ("v2, label", "snnTorch", "v2", "label", "snntorch"),
]


def test_exposures_of_canaries_are_quoted() -> None:
    text = (ROOT / "results" / "secrets-canaries-digits" / "results.json").read_text()
    secrets = Findings.from_json(text).secrets
    assert secrets is not None
    for name, network, *key in CANARY_ROWS:
        own = [one for one in secrets.repetitions if [one.attack, one.reveals, one.substrate] == key]
        exposures = [one.exposure for one in sorted(own, key=lambda one: one.copies)]
        cells = [
            f"{fixed(mean.value, 2)} [{fixed(mean.low, 2)}, {fixed(mean.high, 2)}]"
            if mean.low and mean.high
            else "6 (all)"
            for mean in exposures
        ]
        assert f"| {name} | {network} | {' | '.join(cells)} |" in PAGE.read_text(encoding="utf-8").splitlines()

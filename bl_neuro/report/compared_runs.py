"""Several audits beside each other, JSON-ready: rows of the same name, and verdicts where inversions pair."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bl_neuro.report.findings import Count, Estimate, Measure, Number, Part, Verdict
from bl_neuro.report.findings_in_words import many, points
from bl_neuro.report.words import listed


class RunFacts(Part):
    """One run: its name here, its audit, and how much of it is done."""

    name: str
    audit: str
    dataset: str
    seeds: list[Count]
    cells: dict[str, Count]


class Setting(Part):
    """Something in which runs differ, and what it is in each, in the order of the runs; null where it is not there."""

    name: str
    values: list[str | None]


class RunRow(Part):
    """The rows of one name: target, substrate, attack and view, under one evaluator, in the order of the runs."""

    target: str
    substrate: str
    attack: str
    reveals: str
    evaluator: str
    estimates: list[Estimate | None] = Field(description="Attack accuracy; null where a run has no such row.")


class Side(Part):
    """A row of a run."""

    run: str
    substrate: str


class RunComparison(Part):
    """Two rows of two runs. verdict: of first less second; null where they do not pair, and `why` says why not."""

    target: str
    attack: str
    reveals: str
    evaluator: str
    measure: Measure
    first: Side
    second: Side
    inversions: Count = Field(description="That both have: same target seed, class and restart.")
    verdict: Verdict | None
    sentence: str | None
    why: str | None


class ComparedRuns(Part):
    """What a comparison of runs found."""

    format: Literal["bl-neuro/audit-comparison/1"] = "bl-neuro/audit-comparison/1"
    margin: Number
    runs: list[RunFacts] = Field(min_length=2)
    settings: list[Setting]
    rows: list[RunRow]
    comparisons: list[RunComparison]

    @property
    def judge(self) -> str | None:
        """The evaluator that comparisons begin with."""
        return self.comparisons[0].evaluator if self.comparisons else None

    def main(self) -> list[RunComparison]:
        """Comparisons of attack accuracy under the judge."""
        return [each for each in self.comparisons if each.measure == "hit" and each.evaluator == self.judge]

    def answer(self) -> str:
        """What came out, in a sentence or two."""
        paired = [each.verdict for each in self.main() if each.verdict is not None]
        alone = len(self.main()) - len(paired)
        if not paired:
            return "No two rows of these runs pair, so that there is no verdict: the reasons are told row by row."
        same = sum(each.identical for each in paired)
        kinds = {
            f"{same} {'is' if same == 1 else 'are'} identical": same,
            **{
                f"{count} {word}": count
                for word, kind in (("differ", "differs"), ("equivalent", "equivalent"), ("open", "inconclusive"))
                if (count := sum(each.verdict == kind and not each.identical for each in paired))
            },
        }
        said = listed([text for text, count in kinds.items() if count])
        rest = f" {many(alone, 'other comparison')} cannot be paired." if alone else ""
        margin = points(self.margin, False).removesuffix(".0")
        return f"Of {many(len(paired), 'paired comparison')}, {said}; the margin is {margin} points.{rest}"

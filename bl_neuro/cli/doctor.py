"""`bl-neuro doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bl_neuro.cli.options import Json, app

if TYPE_CHECKING:
    from bl_neuro.api.doctor import DoctorReport, SubstrateState


@app.command()
def doctor(as_json: Json = False) -> int:
    """Test every substrate and list all installed parts. The exit code is 1 if a part is broken."""
    from dataclasses import asdict

    from bl_neuro.api.doctor import doctor as run
    from bl_neuro.cli.output import print_json

    report = run()
    if as_json:
        facts = asdict(report)
        parts = facts.pop("parts")
        print_json({**facts, **parts})
    else:
        _print(report)
    return int(report.broken)


def _print(report: DoctorReport) -> None:
    from bl_neuro.cli.output import print_table, say

    columns = ["substrate", "state", "access", "first answer", "package", "description, or what to do"]
    print_table("Substrates", columns, [_substrate_row(state) for state in report.substrates], 3, 4)
    for plural, states in report.parts.items():
        rows = [[it.name, "works" if it.works else "broken", it.package, it.summary or it.advice] for it in states]
        print_table(f"\n{plural.capitalize()}", ["name", "state", "package", "description, or what to do"], rows, 4)
    say("\nVersions: " + ", ".join(f"{name} {number}" for name, number in report.versions.items()))
    here, features = report.machine, report.machine["cpu"]
    listed = "not known (numba is not installed)" if features is None else ", ".join(features) or "none of use here"
    say(f"CPU: {here['machine']}, {here['cores']} cores; {listed}")


def _substrate_row(state: SubstrateState) -> list[str]:
    seconds = "" if state.seconds is None else f"{state.seconds:.1f} s"
    word = "works" if state.works else "broken" if state.broken else "missing"
    description = "; ".join(filter(None, [state.summary if state.works else "", state.advice]))
    return [state.substrate, word, state.access, seconds, state.package, description]

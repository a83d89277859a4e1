"""What must hold of `[[replays]]`, `[ladder]` and `[[mitigations]]` beyond the types of their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bl_neuro.access import REVEALS
from bl_neuro.attacks.registry import ATTACKS
from bl_neuro.backends import available_substrates, find_backend
from bl_neuro.experiment.definition.document import strings, table, tables
from bl_neuro.experiment.definition.toml_lines import Path
from bl_neuro.mitigations import OutputNoise, Rounding

Found = Iterator[tuple[Path, str]]


def replay_problems(document: dict[str, Any]) -> Found:
    """Of every one of `[[replays]]`."""
    black = list(_black_box(document))
    ours = strings(document.get("substrates"))
    for i, each in tables(document, "replays"):
        place: Path = ("replays", i)
        yield from _labels(each, place, black, "a black-box attack")
        yield from _seeds(each, place, document)
        substrate, of = each.get("substrate", "lava"), each.get("of", "loihi")
        if of not in ours:
            yield (*place, "of"), f"expected one of the experiment's substrates, found {of!r}"
        elif substrate in ours:
            yield (*place, "substrate"), f"every attack runs on {substrate} anyway; leave it out of substrates"
        else:
            yield from _same_arithmetic(place, substrate, of)


def ladder_problems(document: dict[str, Any]) -> Found:
    """Of `[ladder]`."""
    if "ladder" not in document:
        return
    part = table(document["ladder"])
    labels = [str(each.get("label", each.get("attack"))) for _, each in tables(document, "attacks")]
    yield from _labels(part, ("ladder",), labels, "an attack")
    yield from _seeds(part, ("ladder",), document)
    for name, default, arithmetic in (("real", "snntorch", "real"), ("loihi", "loihi", "loihi")):
        substrate = part.get(name, default)
        if substrate not in strings(document.get("substrates")):
            yield ("ladder", name), f"expected one of the experiment's substrates, found {substrate!r}"
        elif substrate in available_substrates() and find_backend(substrate).arithmetic != arithmetic:
            yield ("ladder", name), f"expected a substrate of {arithmetic} arithmetic, found {substrate!r}"


def mitigation_problems(document: dict[str, Any]) -> Found:
    """Of every one of `[[mitigations]]`."""
    black = _black_box(document)
    seen: set[str] = set()
    for i, each in tables(document, "mitigations"):
        place: Path = ("mitigations", i)
        yield from _labels(each, place, list(black), "a black-box attack")
        yield from _seeds(each, place, document)
        substrate = each.get("substrate", "loihi")
        if substrate not in strings(document.get("substrates")):
            yield (*place, "substrate"), f"expected one of the experiment's substrates, found {substrate!r}"
        wanted = strings(each.get("attacks")) or list(black)
        shown = sorted({view for label in wanted for view in black.get(label, [])})
        asked = [("reveals", view) for view in strings(each.get("reveals"))]
        for key, view in [*asked, *([("to", each["to"])] if "to" in each else [])]:
            if view in REVEALS and view not in shown:
                yield (*place, key), f"expected what its attacks reveal ({', '.join(shown)}), found {view!r}"
        yield from _does_something(each, place)
        yield from _restarts(each, place, document)
        same = repr(sorted((key, str(value)) for key, value in each.items()))
        if same in seen:
            yield place, "stands there twice"
        seen.add(same)


def _does_something(part: dict[str, Any], place: Path) -> Found:
    """Each view that is named must be one that the mitigation changes, and show more than what replaces it."""
    acts_on = {"rounding": Rounding.acts_on, "noise": OutputNoise.acts_on}.get(str(part.get("kind")), REVEALS)
    to = part.get("to")
    for number, view in enumerate(strings(part.get("reveals"))):
        if view in REVEALS and view not in acts_on:
            yield (
                (*place, "reveals", number),
                f"expected what {part['kind']} changes ({', '.join(acts_on)}), found {view!r}",
            )
        if view in REVEALS and to in REVEALS and REVEALS.index(view) >= REVEALS.index(to):
            more = ", ".join(REVEALS[: REVEALS.index(to)])
            yield (*place, "reveals", number), f"expected what shows more than {to} ({more}), found {view!r}"


def _restarts(part: dict[str, Any], place: Path, document: dict[str, Any]) -> Found:
    """No more than the attacks have that it is compared with."""
    wanted = part.get("restarts")
    ours = document.get("restarts", 1)
    named = strings(part.get("attacks"))
    for _, attack in tables(document, "attacks"):
        label, most = str(attack.get("label", attack.get("attack"))), attack.get("restarts", ours)
        if isinstance(wanted, int) and isinstance(most, int) and (not named or label in named) and wanted > most:
            yield (*place, "restarts"), f"expected at most the {most} of attack {label}, found {wanted}"
            return


def verify_problems(document: dict[str, Any]) -> Found:
    """Of `verify`."""
    known = available_substrates()
    for number, name in enumerate(strings(document.get("verify"))):
        if name not in known:
            yield ("verify", number), f"expected one of {', '.join(known)}, found {name!r}"


def _black_box(document: dict[str, Any]) -> dict[str, list[str]]:
    """Labels of black-box attacks, and what they reveal."""
    return {
        str(each.get("label", each.get("attack"))): strings(each.get("reveals"))
        for _, each in tables(document, "attacks")
        if each.get("attack") in ATTACKS and ATTACKS[each["attack"]].access != "white_box"
    }


def _labels(part: dict[str, Any], place: Path, labels: list[str], what: str) -> Found:
    for number, label in enumerate(strings(part.get("attacks"))):
        if label not in labels:
            yield (*place, "attacks", number), f"expected the label of {what}, found {label!r}"


def _seeds(part: dict[str, Any], place: Path, document: dict[str, Any]) -> Found:
    """Seeds must be the experiment's; wrong types are told elsewhere."""
    given, ours = _listed(part.get("seeds")), _listed(document.get("seeds"))
    missing = sorted(given - ours) if given and ours else []
    if missing:
        yield (*place, "seeds"), f"expected seeds of the experiment, found {', '.join(map(str, missing))}"


def _listed(seeds: Any) -> set[int]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        return set(range(min(seeds, 1000)))
    return {each for each in seeds if isinstance(each, int)} if isinstance(seeds, list) else set()


def _same_arithmetic(place: Path, substrate: Any, of: str) -> Found:
    known = available_substrates()
    if substrate not in known:
        yield (*place, "substrate"), f"expected one of {', '.join(known)}, found {substrate!r}"
    elif of in known:
        promised, other = find_backend(substrate).arithmetic, find_backend(of).arithmetic
        if promised is None or promised != other:
            yield (*place, "substrate"), f"{substrate} and {of} do not promise the same; expected one arithmetic"

"""`bl-neuro cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bl_neuro.cli.options import Json, app

if TYPE_CHECKING:
    from bl_neuro.experiment.trained_cache import TrainedCache

cache = typer.Typer(
    no_args_is_help=True, help="Show or clear the trained networks and evaluators that audits on this machine share."
)
app.add_typer(cache, name="cache")
MIB = 2**20


@cache.command()
def show(as_json: Json = False) -> None:
    """Show the folder, size and limit of the cache, and how much of it there is of each kind.

    The environment variables BL_NEURO_CACHE and BL_NEURO_CACHE_MIB set the folder and the limit.
    """
    from bl_neuro.cli.output import print_json, print_table, say

    shared = _cache()
    entries = shared.entries()
    kinds: dict[str, list[int]] = {}
    for entry in entries:
        kinds.setdefault(shared.kind(entry.key), []).append(entry.size)
    size = sum(entry.size for entry in entries)
    if as_json:
        counts = {kind: {"entries": len(sizes), "bytes": sum(sizes)} for kind, sizes in sorted(kinds.items())}
        print_json({"folder": str(shared.folder), "bytes": size, "limit": shared.limit, "kinds": counts})
        return
    rows = [[kind, str(len(sizes)), f"{sum(sizes) / MIB:.1f}"] for kind, sizes in sorted(kinds.items())]
    print_table(f"Trained networks and evaluators in {shared.folder}", ["kind", "entries", "MiB"], rows)
    say(f"{size / MIB:.1f} of at most {shared.limit / MIB:.0f} MiB")


@cache.command()
def clear(
    costs: Annotated[bool, typer.Option("--costs", help="Also forget the recorded durations of cells.")] = False,
) -> None:
    """Remove all entries. Runs are not affected: they have copies."""
    from bl_neuro.cli.output import say
    from bl_neuro.experiment.cost_log import CostLog
    from bl_neuro.phrases import many

    shared = _cache()
    say(f"{many(shared.clear(), 'entry', 'entries')} removed from {shared.folder}")
    if costs:
        CostLog(shared.folder).path.unlink(missing_ok=True)


def _cache() -> TrainedCache:
    from bl_neuro.errors import InputError
    from bl_neuro.experiment.trained_cache import TrainedCache, stated_limit
    from bl_neuro.files import cache_folder

    folder = cache_folder()
    if folder is None:
        raise InputError("cache: there is no cache folder; set BL_NEURO_CACHE to a folder")
    return TrainedCache(folder, stated_limit())
